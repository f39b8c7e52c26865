"""What we send passes the checks of the sandbox, which are the service's own as far as known."""

import json
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from messages_api import STREAMS, TRANSLATOR
from native_schema import problems_of
from strict_schemas import SCHEMAS
from test_anthropic_properties import REQUESTS

from proxy.sandbox.anthropic_messages.content import sign
from proxy.sandbox.anthropic_messages.dialect import AnthropicMessages
from proxy.sandbox.dialect import Rejection
from tests.recordings import recorded_openai_requests
from tests.translators.chat_requests import chat_of, user
from tests.translators.golden_cases import Case, GoldenCases
from tests.translators.streams import Json
from translators.errors import ExecutionPlatformError, TranslationError

MODELS = [
    "claude-3-5-haiku-latest",
    "claude-haiku-4-5",
    "claude-opus-4-6",
    "claude-opus-4-8",
    "claude-haiku-5-5",
    "claude-opus-5-5",
]
SIGNATURE = sign("a", "b")
CASES = GoldenCases("anthropic_messages", STREAMS)


def check(request: Json, model: str) -> None:
    """Translate a request and have the sandbox read it."""
    native = TRANSLATOR.request(chat_of(request), model=model).request
    body: Any = json.loads(json.dumps(native.body).replace('"c2ln"', f'"{SIGNATURE}"'))
    assert problems_of(body) == []
    try:
        AnthropicMessages().read(body, {**native.headers, "content-type": "application/json"})
    except Rejection as refusal:
        pytest.fail(f"{refusal.error}: {json.dumps(body)[:2000]}")


@pytest.mark.parametrize("case", CASES.all)
def test_golden_request_is_accepted(case: Case):
    check(case.request, case.request["model"])


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("recorded", recorded_openai_requests())
def test_recorded_openai_request_is_accepted_or_refused_by_us(recorded: Json, model: str):
    try:
        check(recorded, model)
    except ExecutionPlatformError as error:
        assert error.param


@given(REQUESTS, st.sampled_from(MODELS))
@settings(max_examples=150, deadline=None)
def test_any_request_is_accepted_or_refused_by_us(request: Json, model: str):
    assume(request["messages"])
    try:
        check(request, model)
    except TranslationError as error:
        assert error.param in ("messages", "response_format")


@given(SCHEMAS, st.sampled_from(MODELS), st.booleans())
@settings(max_examples=100, deadline=None)
def test_any_schema_is_accepted_or_refused_by_us(schema: Json, model: str, strict: bool):
    form = {"name": "n", "schema": schema, "strict": strict}
    tools = [
        {"type": "function", "function": {"name": name, "parameters": schema, "strict": strict}}
        for name in ("f", "g")
    ]
    request = {"model": "p", "messages": [user("x")], "tools": tools}
    try:
        check({**request, "response_format": {"type": "json_schema", "json_schema": form}}, model)
    except TranslationError as error:
        assert error.param in ("response_format.json_schema.schema", "tools[0].function.parameters")

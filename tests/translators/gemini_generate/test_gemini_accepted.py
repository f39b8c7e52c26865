"""What we send passes the checks of the sandbox, which are the service's own as far as known."""

import json
from typing import Any

import pytest
from gemini_api import FIXED, NEW, OLD, STREAMS, TRANSLATOR
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from test_gemini_properties import MODELS, REQUESTS

from proxy.sandbox.dialect import Rejection
from proxy.sandbox.gemini_generate.dialect import Call, GeminiGenerate
from proxy.sandbox.gemini_generate.signatures import sign
from tests.recordings import recorded_openai_requests
from tests.translators.chat_requests import chat_of
from tests.translators.golden_cases import Case, GoldenCases
from tests.translators.streams import Json
from translators.errors import ExecutionPlatformError, TranslationError

SIGNATURE = sign("a", "b")
CASES = GoldenCases("gemini_generate", STREAMS)


def check(request: Json, model: str) -> None:
    """Translate a request and have the sandbox read it."""
    translated = TRANSLATOR.request(chat_of(request), model=model).request
    stream = bool(request.get("stream"))
    call = Call(version="v1beta", model=model, stream=stream, form="sse" if stream else "")
    body: Any = json.loads(json.dumps(translated.body).replace('"c2ln"', f'"{SIGNATURE}"'))
    try:
        GeminiGenerate(call).read(body, {})
    except Rejection as refusal:
        pytest.fail(f"{refusal.error}: {json.dumps(body)[:2000]}")


@pytest.mark.parametrize("case", CASES.all)
def test_golden_request_is_accepted(case: Case):
    # The signatures in there are of no service.
    request = json.dumps(case.request).replace("EskCCsYCAXLI2nw=", SIGNATURE)
    check(json.loads(request), case.request["model"])


@pytest.mark.parametrize("model", [OLD, NEW, FIXED])
@pytest.mark.parametrize("recorded", recorded_openai_requests())
def test_recorded_openai_request_is_accepted_or_refused_by_us(recorded: Json, model: str):
    try:
        check(recorded, model)
    except ExecutionPlatformError as error:
        assert error.param


@given(REQUESTS, MODELS.filter(lambda model: model.startswith("gemini")), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_request_is_accepted_or_refused_by_us(request: Json, model: str, stream: bool):
    assume(request["messages"])
    try:
        check({**request, "stream": stream}, model)
    except TranslationError as error:
        assert error.param in ("messages", "web_search_options")

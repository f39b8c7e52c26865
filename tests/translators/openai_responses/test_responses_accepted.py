"""What we send passes the checks of the sandbox, which are the service's own as far as known."""

import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from responses_api import NEW, OLD, PLAIN, STREAMS, TRANSLATOR
from test_responses_properties import REQUESTS

from proxy.sandbox.dialect import Rejection
from proxy.sandbox.openai_responses.dialect import OpenAIResponses
from proxy.sandbox.openai_responses.seals import seal
from tests.recordings import recorded_openai_requests
from tests.translators.chat_requests import chat_of
from tests.translators.golden_cases import Case, GoldenCases
from tests.translators.streams import Json
from translators.errors import ExecutionPlatformError

CASES = GoldenCases("openai_responses", STREAMS)


def check(request: Json, model: str) -> None:
    """Translate a request and have the sandbox read it."""
    body = TRANSLATOR.request(chat_of(request), model=model).request.body
    for item in body["input"]:
        if item.get("type") == "reasoning":
            # The encrypted contents of the examples are of no service.
            item["encrypted_content"] = seal(item["id"], "done")
    try:
        OpenAIResponses().read(body, {"content-type": "application/json"})
    except Rejection as refusal:
        pytest.fail(f"{refusal.error}: {json.dumps(body)[:2000]}")


@pytest.mark.parametrize("case", CASES.all)
def test_golden_request_is_accepted(case: Case):
    check(case.request, case.request["model"])


@pytest.mark.parametrize("model", [PLAIN, OLD, NEW])
@pytest.mark.parametrize("recorded", recorded_openai_requests())
def test_recorded_chat_request_is_accepted_or_refused_by_us(recorded: Json, model: str):
    try:
        check(recorded, model)
    except ExecutionPlatformError as error:
        assert error.param


@given(REQUESTS, st.sampled_from([PLAIN, OLD, NEW]), st.booleans())
@settings(max_examples=150, deadline=None)
def test_any_request_is_accepted_or_refused_by_us(request: Json, model: str, stream: bool):
    assume(request["messages"])
    # `json_object` wants the word "json" in the messages, as it does on chat completions.
    plain = {**request, "stop": None, "stream": stream, "response_format": None}
    try:
        check(plain, model)
    except ExecutionPlatformError as error:
        assert error.param == "logprobs"

"""A whole answer passes byte for byte once it proved to be one."""

import json
from typing import Any

import pytest
from openai_wire import TRANSLATOR, USAGE

from tests.translators.streams import CONTEXT, Json
from translators.errors import ProviderError
from translators.wire.response import CompletionTokensDetails, PromptTokensDetails, Usage

MESSAGE = {"role": "assistant", "content": "Hi", "refusal": None}


def answer(*choices: Json, **more: Any) -> bytes:
    listed = choices or ({"index": 0, "message": MESSAGE, "finish_reason": "stop"},)
    head = {"id": "chatcmpl-9", "object": "chat.completion", "created": 1, "model": "gpt-9"}
    return json.dumps({**head, "choices": list(listed), **more}).encode()


def failure(native: bytes) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        TRANSLATOR.response(native, CONTEXT)
    return caught.value


def test_bytes_pass_as_they_are():
    native = b' {"choices" : [{"message":{"content":"\\u00e9"},"finish_reason":"stop"}], "x":1e3}\n'
    assert TRANSLATOR.response(native, CONTEXT).data == native


def test_row_62_the_outcome_is_what_the_answer_says():
    details = {"cached_tokens": 4, "cache_write_tokens": 2}
    usage = {**USAGE, "prompt_tokens_details": details,
             "completion_tokens_details": {"reasoning_tokens": 3}}  # fmt: skip
    outcome = TRANSLATOR.response(answer(usage=usage), CONTEXT).outcome
    assert (outcome.id, outcome.model, outcome.finish_reason) == ("chatcmpl-9", "gpt-9", "stop")
    assert outcome.usage == Usage(
        10,
        5,
        15,
        PromptTokensDetails(cached_tokens=4, cache_write_tokens=2),
        CompletionTokensDetails(reasoning_tokens=3),
    )


def test_an_answer_without_usage_id_and_model_is_one():
    native = json.dumps({"choices": [{"message": MESSAGE, "finish_reason": "length"}]}).encode()
    outcome = TRANSLATOR.response(native, CONTEXT).outcome
    assert (outcome.id, outcome.model, outcome.usage) == (None, None, None)
    assert outcome.finish_reason == "length"


def test_an_error_that_forgot_its_status_is_an_error():
    told = {"message": "Busy", "type": "server_error", "code": "server_is_overloaded"}
    error = failure(json.dumps({"error": told}).encode())
    assert (error.kind, error.status, error.message) == ("overloaded", None, "Busy")
    error = failure(json.dumps({"object": "error", "message": "Busy", "code": 503}).encode())
    assert error.message == "Busy"


UNFINISHED = {"index": 0, "message": MESSAGE, "finish_reason": None}
FINISHED = {"index": 1, "message": MESSAGE, "finish_reason": "stop"}


@pytest.mark.parametrize(
    "native",
    [
        b"",
        b"rubbish",
        b"<html>502</html>",
        b"[]",
        b"{}",
        b"null",
        b"\xff\xfe",
        answer()[:-9],
        json.dumps({"choices": []}).encode(),
        json.dumps({"choices": None}).encode(),
        answer({"index": 0, "finish_reason": "stop"}),
        answer({"index": 0, "message": None, "finish_reason": "stop"}),
        answer(UNFINISHED),
        answer(FINISHED, UNFINISHED),
    ],
)
def test_row_65_what_is_no_answer_is_a_protocol_error(native: bytes):
    error = failure(native)
    assert (error.kind, error.status_hint, error.code) == ("protocol", 502, "upstream_error")
    assert error.message

"""What the service answered to recorded requests is what the sandbox answers to them."""

import json
from typing import Any

import pytest

from proxy.sandbox.dialect import Rejection
from proxy.sandbox.jsontypes import as_list, as_object
from proxy.sandbox.openai_responses.dialect import OpenAIResponses
from proxy.sandbox.openai_responses.seals import seal
from tests.recordings import Recording, parameters_of, recordings


def _recordings(*statuses: int) -> list[Any]:
    pattern = "openai/responses-*.json"
    return parameters_of(
        recordings(pattern, lambda found: found.status in statuses and found.request is not None)
    )


def _sealed(value: Any) -> Any:
    """Give reasoning the encrypted content that this service would have given it."""
    items = as_list(value)
    if items is not None:
        return [_sealed(item) for item in items]
    found = as_object(value)
    if found is None:
        return value
    if found.get("type") == "reasoning":
        return {**found, "encrypted_content": seal(found["id"], "recorded")}
    return found


def _body(recording: Recording) -> dict[str, Any]:
    body = dict(recording.request)
    # The service remembers earlier answers; the sandbox does not, and says so.
    body.pop("previous_response_id", None)
    return {**body, "input": _sealed(body["input"])}


def _continues(recording: Recording) -> bool:
    """Whether the input holds results of calls that only the service remembers."""
    return bool(recording.request.get("previous_response_id"))


@pytest.mark.parametrize("recording", _recordings(200))
def test_request_is_accepted(recording: Recording) -> None:
    body = _body(recording)
    if _continues(recording):
        calls = [i for i in body["input"] if i.get("type") == "function_call_output"]
        body["input"] = [
            *({"type": "function_call", "call_id": i["call_id"], "name": "f", "arguments": "{}"}
              for i in calls),
            *body["input"],
        ]  # fmt: skip
    OpenAIResponses().read(body, {"content-type": "application/json"})


@pytest.mark.parametrize("recording", _recordings(400))
def test_refusal_is_the_recorded_one(recording: Recording) -> None:
    body = {**recording.request, "input": _sealed(recording.request["input"])}
    with pytest.raises(Rejection) as caught:
        OpenAIResponses().read(body, {"content-type": "application/json"})
    assert caught.value.status == recording.status
    # The recorded audio was replaced by some of another type.
    answer = recording.body.replace(b"audio/mpeg", b"audio/wav")
    assert caught.value.error == json.loads(answer)["error"]

"""Answers: the rows of the regression list about streams, usage and names, and the edges."""

import json
from dataclasses import replace
from typing import Any

import pytest
from gemini_api import calls_in, chunks_of, deltas_of, outcome_of, run, sse_of, whole
from gemini_events import TWO_CALLS, blocked, call, event, finished, text, thought
from google.genai import types

from tests.translators.streams import CONTEXT, Json, accumulate, events_of
from translators.protocol import ResponseContext


def finish_reason_of(events: list[Json], context: ResponseContext = CONTEXT) -> Any:
    reasons = [c["choices"][0]["finish_reason"] for c in chunks_of(events, context) if c["choices"]]
    assert reasons[:-1] == [None] * (len(reasons) - 1)
    return reasons[-1]


def message_of(events: list[Json], context: ResponseContext = CONTEXT) -> Json:
    chunks, _ = run(events_of(sse_of(events)), context)
    return json.loads(accumulate(chunks).choices[0].message.to_json(warnings=False))


# --- calls -------------------------------------------------------------------------------------


def test_rows_4_5_6_8_calls_of_one_function_are_numbered_from_zero_and_stay_apart():
    found = calls_in(TWO_CALLS)
    assert [c["index"] for c in found] == [0, 0, 1, 1]
    assert [c["id"] for c in found if "id" in c] == ["call_resp-1_0", "call_resp-1_1"]
    assert [c["function"]["arguments"] for c in found] == ["", '{"x":1}', "", '{"x":2}']


@pytest.mark.parametrize(
    "events",
    [
        [event(call("f")), finished()],
        [event(call("f")), event(text("")), finished()],
        [event(call("f")), finished(), finished()],
        [{**event(call("f")), **finished()}, event(call("f"), finishReason="STOP")],
        [event(call("f"), finishReason="STOP")],
        [event(call("f")), finished("QUANTUM")],
        [event(call("f")), finished("UNEXPECTED_TOOL_CALL")],
        [event(call("f")), finished("MALFORMED_FUNCTION_CALL")],
    ],
)
def test_row_9_stop_after_a_call_is_tool_calls(events: list[Json]):
    assert finish_reason_of(events) == "tool_calls"


def test_row_10_finish_reason_is_null_until_the_last_chunk():
    assert finish_reason_of(TWO_CALLS) == "tool_calls"


@pytest.mark.parametrize("fields", [{}, {"args": None}, {"args": {}}], ids=["no", "null", "empty"])
def test_rows_12_and_93_call_without_arguments_has_an_empty_object(fields: Json):
    native = {"functionCall": {"name": "f", **fields}}
    found = calls_in([event(native), finished()])
    assert "".join(c["function"]["arguments"] for c in found) == "{}"


@pytest.mark.parametrize("reason", ["MAX_TOKENS", "CONTINUATION"])
def test_row_28_cut_call_ends_as_length(reason: str):
    assert finish_reason_of([event(call("f")), finished(reason)]) == "length"


def test_row_20_generated_ids_differ_between_answers():
    other = [{**e, "responseId": "resp-2"} for e in TWO_CALLS]
    ids = [c["id"] for c in calls_in(TWO_CALLS) + calls_in(other) if "id" in c]
    assert len(set(ids)) == 4
    nameless = [{n: v for n, v in e.items() if n != "responseId"} for e in TWO_CALLS]
    context = replace(CONTEXT, id="chatcmpl-a.b")
    assert calls_in(nameless, context)[0]["id"] == "call_a_b_0"


def test_given_ids_are_kept_unless_they_come_twice():
    events = [event(call("f", id="x"), call("f", id="y"), call("f", id="x")), finished()]
    assert [c["id"] for c in calls_in(events) if "id" in c] == ["x", "y", "call_resp-1_2"]


def test_row_31_signature_is_on_its_call():
    events = [event({**call("f"), "thoughtSignature": "c2ln"}, call("g")), finished()]
    extras = [c.get("extra_content") for c in calls_in(events) if "id" in c]
    assert extras == [{"google": {"thought_signature": "c2ln"}}, None]
    message = message_of(events)
    assert message["tool_calls"][0]["extra_content"] == extras[0]


def test_row_22_encoded_tool_name_is_decoded():
    assert calls_in([event(call("_x_9-20lives")), finished()])[0]["function"]["name"] == "9 lives"


CUSTOM = replace(CONTEXT, custom_tools=frozenset({"shell"}))
LEGACY = replace(CONTEXT, legacy_functions=True)


@pytest.mark.parametrize(
    ("args", "input"), [({"input": "ls"}, "ls"), ({}, "{}"), ({"input": 1}, '{"input":1}')]
)
def test_custom_call_is_unwrapped(args: Json, input: str):
    native = {**call("shell", **args), "thoughtSignature": "c2ln"}
    (found,) = calls_in([event(native), finished()], CUSTOM)
    assert found.pop("extra_content") == {"google": {"thought_signature": "c2ln"}}
    custom = {"name": "shell", "input": input}
    assert found == {"index": 0, "id": "call_resp-1_0", "type": "custom", "custom": custom}


def test_legacy_answer_holds_one_function_call():
    found = [d["function_call"] for d in deltas_of(TWO_CALLS, LEGACY) if "function_call" in d]
    assert found == [{"name": "f", "arguments": ""}, {"arguments": '{"x":1}'}]
    assert finish_reason_of(TWO_CALLS, LEGACY) == "function_call"


def test_call_in_pieces_is_put_together():
    def piece(path: str, more: bool = False, **value: Any) -> Json:
        arg = {"jsonPath": path, **value, **({"willContinue": True} if more else {})}
        return event({"functionCall": {"partialArgs": [arg], "willContinue": True}})

    begin = {"functionCall": {"name": "f", "willContinue": True}, "thoughtSignature": "c2ln"}
    events = [
        event(begin),
        piece("$.city", more=True, stringValue="Os"),
        piece("$.city", more=True, stringValue="lo"),
        piece("$.city", stringValue=""),
        piece("$.rooms[1].beds", numberValue=2),
        piece("$['a.b']", numberValue=0.5),
        piece("$.yes", boolValue=True),
        piece("$.none", nullValue="NULL_VALUE"),
        event({"functionCall": {}}),
        event(call("g")),
        event({"functionCall": {"name": "h", "willContinue": True}}),
        finished(),
    ]
    first, second, third = message_of(events)["tool_calls"]
    assert json.loads(first["function"]["arguments"]) == {
        **{"city": "Oslo", "rooms": [None, {"beds": 2}], "a.b": 0.5},
        **{"yes": True, "none": None},
    }
    assert first["extra_content"]["google"]["thought_signature"] == "c2ln"
    assert [c["function"]["name"] for c in (second, third)] == ["g", "h"]


# --- text, thoughts, media ---------------------------------------------------------------------


def test_row_34_thoughts_have_one_field_streamed_or_not():
    events = [event(thought("Hm. ")), event(thought("So."), text("42")), finished()]
    message = message_of(events)
    assert (message["reasoning_content"], message["content"]) == ("Hm. So.", "42")
    answer = {**finished(), **event(thought("Hm. So."), text("42"), finishReason="STOP")}
    assert whole(answer)["choices"][0]["message"]["reasoning_content"] == "Hm. So."


def test_empty_text_with_a_signature_has_no_content():
    bare = [event(text("x")), finished()]
    signed = [event(text("x")), event({"text": "", "thoughtSignature": "c2ln"}), finished()]
    entry = {"index": 0, "type": "reasoning.encrypted", "data": "c2ln"}
    added = {"reasoning_details": [{**entry, "format": "google-gemini-v1"}]}
    expected = deltas_of(bare)
    assert deltas_of(signed) == [*expected[:-1], added, expected[-1]]


@pytest.mark.parametrize(
    "part",
    [
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"toolCall": {"id": "a", "toolType": "GOOGLE_SEARCH_WEB"}, "thoughtSignature": "c2ln"},
        {"functionResponse": {"name": "f", "response": {}}},
        {"inlineData": {"mimeType": "application/pdf", "data": "eA=="}},
        {"inlineData": {"mimeType": "image/png", "data": "eA=="}, "thought": True},
        {"aurora": 1},
        {},
    ],
)
def test_part_that_is_not_for_the_client_is_ignored(part: Json):
    bare = [event(text("x")), finished()]
    assert chunks_of([event(text("x"), part), finished()]) == chunks_of(bare)
    assert chunks_of([event(part), *bare])[1:] == chunks_of(bare)[1:]


def test_images_are_an_extension_of_the_message():
    image = {"inlineData": {"mimeType": "image/png", "data": "eA=="}}
    message = message_of([event(image), event(image), finished()])
    for entry in message["images"]:
        entry.pop("index")
    url = {"url": "data:image/png;base64,eA=="}
    assert message["images"] == [{"type": "image_url", "image_url": url}] * 2
    (streamed, *_) = [d for d in deltas_of([event(image), finished()]) if "images" in d]
    assert streamed["images"][0]["index"] == 0


def test_sound_has_openais_form():
    sound = {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "AAAA"}}
    body = {**finished(), **event(sound, sound, finishReason="STOP")}
    assert whole(body)["choices"][0]["message"]["audio"] == {
        **{"id": "audio_resp-1", "data": "AAAAAAAA", "transcript": ""},
        "expires_at": CONTEXT.created,
    }


def test_row_91_role_comes_first_even_in_an_empty_answer():
    first, finish, _ = chunks_of([finished()])
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert finish["choices"][0]["finish_reason"] == "stop"


def test_other_candidates_are_not_mixed_in():
    other = {
        "candidates": [{"index": 1, "content": {"parts": [text("y")]}, "finishReason": "STOP"}]
    }
    events = [event(text("x")), {**event(), **other}, finished()]
    assert chunks_of(events) == chunks_of([event(text("x")), finished()])


def test_role_and_usage_are_no_payload():
    chunks, _ = run(events_of(sse_of([event(text("x")), finished()])))
    assert [chunk.payload for chunk in chunks] == [False, True, True, False]


# --- how it ends -------------------------------------------------------------------------------

FILTERS = [
    *("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE"),
    *("MODEL_ARMOR", "ESCALATION", "PUP_LIMITED_DISABLED", "IMAGE_SAFETY"),
    *("IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION"),
]


REASONS: list[tuple[Any, str]] = [
    ("STOP", "stop"),
    (1, "stop"),
    ("MAX_TOKENS", "length"),
    (2, "length"),
    ("CONTINUATION", "length"),
    *((name, "content_filter") for name in FILTERS),
    (3, "content_filter"),
    ("OTHER", "stop"),
    ("IMAGE_OTHER", "stop"),
    ("NO_IMAGE", "stop"),
    ("MALFORMED_FUNCTION_CALL", "stop"),
    ("MALFORMED_RESPONSE", "stop"),
    ("UNEXPECTED_TOOL_CALL", "stop"),
    ("MISSING_THOUGHT_SIGNATURE", "stop"),
    ("TOO_MANY_TOOL_CALLS", "stop"),
    ("FINISH_REASON_UNSPECIFIED", "stop"),
    ("QUANTUM", "stop"),
    (77, "stop"),
]


@pytest.mark.parametrize(("native", "reason"), REASONS)
def test_finish_reasons(native: Any, reason: str):
    events = [event(text("x")), finished(native)]
    assert finish_reason_of(events) == reason
    assert isinstance(outcome_of(events).native_finish_reason, str)


def test_every_finish_reason_of_the_sdk_has_its_own_case():
    """24 of them in google-genai 3.4; a new one is to be looked at."""
    known = {reason.value for reason in types.FinishReason}
    assert known == {native for native, _ in REASONS if isinstance(native, str)} - {"QUANTUM"}


@pytest.mark.parametrize("reason", FILTERS)
def test_withheld_answer_is_a_refusal(reason: str):
    body: Json = {**event(), "candidates": [{"content": {}, "finishReason": reason}]}
    choice = whole(body)["choices"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("content_filter", None)
    assert reason in choice["message"]["refusal"]
    said: Json = {**body, "candidates": [{**body["candidates"][0], "finishMessage": "No."}]}
    assert whole(said)["choices"][0]["message"]["refusal"] == "No."


@pytest.mark.parametrize(
    ("feedback", "refusal"),
    [
        (
            {"blockReason": "PROHIBITED_CONTENT"},
            "The provider blocked the prompt (PROHIBITED_CONTENT).",
        ),
        ({"blockReason": "SAFETY", "blockReasonMessage": "Not that."}, "Not that."),
        (
            {"blockReason": "JAILBREAK", "safetyRatings": []},
            "The provider blocked the prompt (JAILBREAK).",
        ),
    ],
)
def test_blocked_prompt_is_a_refusal(feedback: Json, refusal: str):
    events = [blocked(**feedback)]
    message = message_of(events)
    assert (message["content"], message["refusal"]) == ("", refusal)
    assert finish_reason_of(events) == "content_filter"
    assert outcome_of(events).native_finish_reason == feedback["blockReason"]
    choice = whole(blocked(**feedback))["choices"][0]
    assert choice["message"] == {"role": "assistant", "content": None, "refusal": refusal}


def test_feedback_without_a_block_is_none():
    events: list[Json] = [{**event(text("x")), "promptFeedback": {"safetyRatings": []}}, finished()]
    assert finish_reason_of(events) == "stop"

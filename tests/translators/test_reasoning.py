"""Reasoning that is put back on calls whose client sent only ids."""

from typing import Any

import pytest

from translators.reasoning import (
    MOST_CALLS,
    VENDORS,
    bare_calls,
    has_reasoning,
    of_vendor,
    restore,
    without_reasoning,
    without_restored,
)
from translators.wire.request import ChatCompletionRequest

THINKING = {
    "anthropic": {"thinking_blocks": [{"type": "thinking", "thinking": "", "signature": "s"}]}
}
SIGNATURE = {"google": {"thought_signature": "c2ln"}}


def call(id: str, **more: Any) -> dict[str, Any]:
    return {"id": id, "type": "function", "function": {"name": "f", "arguments": "{}"}, **more}


def answer(*calls: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **more}


def chat(*messages: dict[str, Any]) -> ChatCompletionRequest:
    return ChatCompletionRequest.model_validate(
        {"model": "m", "messages": [{"role": "user", "content": "Hi"}, *messages]}
    )


def test_calls_without_anything_are_asked_for_in_their_order() -> None:
    request = chat(answer(call("b"), call("a")), answer(call("c")))
    assert bare_calls(request.messages) == ["b", "a", "c"]


def test_without_calls_there_is_nothing_to_ask_for() -> None:
    assert bare_calls(chat({"role": "assistant", "content": "Hello"}).messages) == []


@pytest.mark.parametrize(
    "own",
    [
        answer(call("a", extra_content=SIGNATURE), call("b")),
        answer(call("a"), call("b"), reasoning_details=[{"type": "reasoning.text", "text": "t"}]),
    ],
    ids=["extra_content", "reasoning_details"],
)
def test_a_message_with_reasoning_of_its_own_is_left_alone(own: dict[str, Any]) -> None:
    assert bare_calls(chat(own, answer(call("c"))).messages) == ["c"]


@pytest.mark.parametrize(
    "empty",
    [
        answer(call("a", extra_content={})),
        answer(call("a", extra_content=None)),
        answer(call("a"), reasoning_details=[]),
        answer(call("a"), reasoning_details=None),
        answer(call("a"), reasoning_content="I think."),
    ],
)
def test_what_is_empty_or_only_text_is_no_reasoning_to_send(empty: dict[str, Any]) -> None:
    assert bare_calls(chat(empty).messages) == ["a"]


def test_an_id_that_stands_twice_is_nobodys() -> None:
    request = chat(answer(call("a"), call("b")), answer(call("a")), answer(call("a")))
    assert bare_calls(request.messages) == ["b"]
    with_own = chat(answer(call("a", extra_content=SIGNATURE)), answer(call("a")))
    assert bare_calls(with_own.messages) == []


def test_of_many_calls_the_last_are_looked_at() -> None:
    ids = [f"call_{number}" for number in range(MOST_CALLS + 3)]
    assert bare_calls(chat(*(answer(call(id)) for id in ids)).messages) == ids[3:]


def test_entries_become_extra_content_of_their_calls_and_nothing_else_changes() -> None:
    request = chat(
        answer(call("a"), call("b"), content="Let me see."),
        {"role": "tool", "tool_call_id": "a", "content": "1"},
        {"role": "tool", "tool_call_id": "b", "content": "2"},
        answer(call("c")),
    )
    before = request.to_wire()
    restored = restore(request, {"a": THINKING, "c": SIGNATURE})
    wire = restored.to_wire()
    assert wire["messages"][1]["tool_calls"][0].pop("extra_content") == THINKING
    assert wire["messages"][4]["tool_calls"][0].pop("extra_content") == SIGNATURE
    assert wire == before


def test_the_request_itself_is_not_changed_for_another_target_may_get_it_next() -> None:
    request = chat(answer(call("a")))
    before = request.to_wire()
    restore(request, {"a": THINKING})
    assert request.to_wire() == before


def test_nothing_known_changes_nothing() -> None:
    request = chat(answer(call("a")))
    assert restore(request, {}) is request


def test_only_what_a_vendor_gave_goes_back_to_it() -> None:
    entries: dict[str, Any] = {
        "a": THINKING,
        "b": SIGNATURE,
        "c": {**SIGNATURE, **THINKING},
        "d": {"anthropic": {}},
        "e": "odd",
        "f": None,
    }
    assert of_vendor(entries, "anthropic") == {"a": THINKING, "c": THINKING}
    assert of_vendor(entries, "google") == {"b": SIGNATURE, "c": SIGNATURE}
    assert of_vendor(entries, "openai") == {}


def test_openais_chat_dialect_gives_no_reasoning_and_gets_none() -> None:
    assert "openai_chat" not in VENDORS
    assert set(VENDORS.values()) == {"anthropic", "google", "openai"}


def test_what_was_put_back_can_be_taken_away_again_and_nothing_else() -> None:
    own = call("own", extra_content=SIGNATURE, index=0)
    request = chat(answer(own), answer(call("a", index=0), call("b")))
    restored = restore(request, {"a": THINKING})
    assert restored.to_wire() != request.to_wire()
    assert without_restored(restored).to_wire() == request.to_wire()
    assert restored.to_wire()["messages"][2]["tool_calls"][0]["extra_content"] == THINKING
    assert without_restored(request) is request


def test_taking_away_leaves_what_the_client_sent_beside_it() -> None:
    request = chat(answer(call("own", extra_content=SIGNATURE), call("a")))
    restored = restore(request, {"a": THINKING})
    assert without_restored(restored).to_wire() == request.to_wire()


def test_all_that_is_signed_can_be_left_out_and_only_the_clients_is_told() -> None:
    plain = chat(answer(call("a"), call("b")), answer(call("c"), reasoning_content="Hm"))
    restored = restore(plain, {"a": THINKING, "c": THINKING})
    found, lost = without_reasoning(restored)
    assert (found.to_wire(), lost) == (plain.to_wire(), ())
    assert has_reasoning(restored)
    assert not has_reasoning(plain)
    assert without_reasoning(plain)[0] is plain

    details = [{"type": "reasoning.text", "text": "t"}]
    own = chat(
        answer(call("a", extra_content=SIGNATURE), call("b")),
        answer(call("c"), reasoning_content="Hm", reasoning_details=details),
    )
    found, lost = without_reasoning(own)
    assert found.to_wire() == plain.to_wire()
    assert lost == ("messages[].tool_calls[].extra_content", "messages[].reasoning_details")

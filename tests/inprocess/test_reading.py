"""Chunks and completions as dataclasses: what is split, what is odd, what is no answer."""

import json
from typing import Any

import pytest
from execution_platform.exceptions import ProviderError
from execution_platform.reading import ChunkReader, response_of
from execution_platform.spi import ChatChunk, Served, ToolCall, Usage


def chunk(*deltas: dict[str, Any], reason: str | None = None, **head: Any) -> bytes:
    choices = [
        {"index": index, "delta": delta, "finish_reason": reason}
        for index, delta in enumerate(deltas)
    ]
    return json.dumps({"id": "1", "model": "m", "choices": choices, **head}).encode()


def read(*chunks: bytes) -> list[ChatChunk]:
    reader = ChunkReader()
    return [found for data in chunks for found in reader.read(data)]


def test_a_chunk_that_says_nothing_is_none() -> None:
    assert read(chunk({"role": "assistant", "content": "", "refusal": None}), chunk()) == []


def test_what_a_delta_has_beside_text_is_kept() -> None:
    delta = {
        "content": "so",
        "reasoning_content": "hm",
        "reasoning_details": [{"type": "x"}],
        "refusal": "no",
        "audio": {"data": "UklG"},
    }
    assert read(chunk(delta)) == [
        ChatChunk(
            delta_text="so",
            delta_reasoning="hm",
            delta_refusal="no",
            reasoning_details=[{"type": "x"}],
            model="m",
            id="1",
            extra={"audio": {"data": "UklG"}},
        )
    ]


def part(index: int | None, **fields: Any) -> dict[str, Any]:
    return {"tool_calls": [{**({} if index is None else {"index": index}), **fields}]}


def test_calls_are_put_together_whatever_the_order_of_their_parts() -> None:
    found = read(
        chunk(part(1, id="b", type="function", function={"name": "see", "arguments": ""})),
        chunk(part(0, id="a", function={"name": "look", "arguments": '{"a"'})),
        chunk(part(1, function={"arguments": "{}"})),
        chunk(part(0, function={"arguments": ": 1}"}, extra_content={"x": 1})),
        chunk(part(2, id="c", type="custom", custom={"name": "say", "input": "text"})),
        chunk({}, reason="tool_calls"),
    )
    assert [one.tool_call for one in found[:-1]] == [
        ToolCall("a", "look", '{"a": 1}', extra={"extra_content": {"x": 1}}),
        ToolCall("b", "see", "{}"),
        ToolCall("c", "say", "text", "custom"),
    ]
    assert found[-1].finish_reason == "tool_calls"


def test_calls_without_an_index_are_told_apart_by_their_ids() -> None:
    found = read(
        chunk(part(None, id="a", function={"name": "look", "arguments": "{"})),
        chunk(part(None, function={"arguments": "}"})),
        chunk(part(None, id="b", function={"name": "see", "arguments": "{}"})),
        chunk({}, reason="tool_calls"),
    )
    calls = [one.tool_call for one in found if one.tool_call]
    assert calls == [ToolCall("a", "look", "{}"), ToolCall("b", "see", "{}")]


def test_calls_of_several_choices_come_with_their_own_end() -> None:
    call = part(0, id="a", function={"name": "look", "arguments": "{}"})
    other = part(0, id="b", function={"name": "look", "arguments": "{}"})
    reader = ChunkReader()
    assert reader.read(chunk(call, other)) == []
    found = reader.read(chunk({}, {}, reason="tool_calls"))
    told = [(one.index, one.tool_call.id) for one in found if one.tool_call]
    assert told == [(0, "a"), (1, "b")]


def test_tokens_are_counted_as_far_as_they_are_told() -> None:
    usage = {
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 2, "cache_write_tokens": 1, "odd": None},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }
    (found,) = read(chunk(usage=usage))
    assert found.usage == Usage(
        prompt_tokens=7,
        completion_tokens=3,
        total_tokens=10,
        cached_tokens=2,
        cache_write_tokens=1,
        reasoning_tokens=2,
        prompt_details={"cached_tokens": 2, "cache_write_tokens": 1},
        completion_details={"reasoning_tokens": 2},
    )
    (found,) = read(chunk(usage={"completion_tokens": 3}))
    assert found.usage == Usage(0, 3, 0)


NOT_AN_ANSWER = [b"", b"nonsense", b"[]", b"3", b'{"choices": 3}', b'{"choices": [3]}', b"\xff"]


@pytest.mark.parametrize("data", [*NOT_AN_ANSWER, b'{"choices": [{"delta": 3}]}'])
def test_what_is_no_chunk_is_an_error(data: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        read(data)
    assert caught.value.kind == "protocol"


@pytest.mark.parametrize("data", [*NOT_AN_ANSWER, b"{}", b'{"choices": []}'])
def test_what_is_no_completion_is_an_error(data: bytes) -> None:
    with pytest.raises(ProviderError) as caught:
        response_of(data, Served())
    assert caught.value.kind == "protocol"


def test_a_completion_of_a_sparing_server_will_do() -> None:
    found = response_of(b'{"choices": [{"message": {"content": "so"}}]}', Served())
    assert (found.text, found.model, found.usage, found.tool_calls) == ("so", "", None, [])

"""Chunks and their fold: the order clients rely on, and what the OpenAI SDK makes of them."""

import json
from collections.abc import Callable, Iterable
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from translators.chunks import ChunkBuilder, completion
from translators.errors import StreamTruncated
from translators.fold import fold
from translators.protocol import Chunk, ResponseContext
from translators.wire.response import CompletionTokensDetails, PromptTokensDetails, Usage

Json = dict[str, Any]

CONTEXT = ResponseContext("chatcmpl-1", 1_700_000_000, "asked", include_usage=True)
QUIET = ResponseContext("chatcmpl-1", 1_700_000_000, "asked")
USAGE = Usage(
    prompt_tokens=10,
    completion_tokens=5,
    total_tokens=15,
    prompt_tokens_details=PromptTokensDetails(cached_tokens=4),
    completion_tokens_details=CompletionTokensDetails(reasoning_tokens=2),
)


def sdk_completion(chunks: Iterable[bytes]) -> Json:
    """Return what a client that accumulates with the OpenAI SDK ends up with."""
    state: ChatCompletionStreamState[Any] = ChatCompletionStreamState()
    for data in chunks:
        state.handle_chunk(ChatCompletionChunk.model_validate_json(data))
    snapshot = cast("ChatCompletion", state.current_completion_snapshot)
    return snapshot.model_dump(mode="json", warnings=False)


def plain(value: Any) -> Any:
    """Leave out what says nothing, and the SDK's own additions."""
    if isinstance(value, list):
        return [plain(item) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    items = cast("Json", value).items()
    kept = {k: plain(v) for k, v in items if k not in ("parsed", "parsed_arguments", "index")}
    return {k: v for k, v in kept.items() if v not in (None, "", [], {})}


def loads(chunks: Iterable[Chunk]) -> list[Json]:
    return [json.loads(chunk.data) for chunk in chunks]


def deltas(chunks: Iterable[Chunk]) -> list[Json]:
    return [chunk["choices"][0]["delta"] for chunk in loads(chunks) if chunk["choices"]]


def tool_answer(build: ChunkBuilder) -> list[Chunk]:
    """Return an answer of text and two calls that are written at the same time."""
    return [
        build.role(),
        build.text("Let me see."),
        build.tool_start(7, id="call_a", name="first"),
        build.tool_start("x", id="call_b", name="second"),
        build.tool_arguments("x", '{"b"'),
        build.tool_arguments(7, '{"a":1}'),
        build.tool_arguments("x", ":2}"),
        build.finish("tool_calls"),
        *build.usage(USAGE),
    ]


def test_every_chunk_names_the_same_answer():
    build = ChunkBuilder(CONTEXT)
    build.identify("chatcmpl-9", "answered", service_tier="default")
    heads = [
        (c["id"], c["object"], c["created"], c["model"], c["service_tier"])
        for c in loads(tool_answer(build))
    ]
    expected = ("chatcmpl-9", "chat.completion.chunk", 1_700_000_000, "answered", "default")
    assert set(heads) == {expected}


def test_row_91_the_role_comes_once_and_first_and_is_no_payload():
    chunks = tool_answer(ChunkBuilder(CONTEXT))
    roles = [delta.get("role") for delta in deltas(chunks)]
    assert roles == ["assistant"] + [None] * (len(roles) - 1)
    assert [chunk.payload for chunk in chunks] == [False] + [True] * 7 + [False]


def test_row_01_row_02_row_07_row_08_tool_indexes_are_dense_from_zero_whatever_the_keys():
    entries = [d["tool_calls"][0] for d in deltas(tool_answer(ChunkBuilder(CONTEXT)))[2:7]]
    assert [entry["index"] for entry in entries] == [0, 1, 1, 0, 1]
    assert [entry.get("id") for entry in entries] == ["call_a", "call_b", None, None, None]
    assert [entry["function"].get("name") for entry in entries[2:]] == [None] * 3
    assert entries[0]["type"] == "function"


def test_row_05_calls_of_one_name_are_told_apart_by_key():
    build = ChunkBuilder(QUIET)
    chunks = [build.tool_start(key, id=f"call_{key}", name="same") for key in ("p", "q", "r")] + [
        build.finish("tool_calls")
    ]
    calls = json.loads(fold(c.data for c in chunks))["choices"][0]["message"]["tool_calls"]
    assert [call["id"] for call in calls] == ["call_p", "call_q", "call_r"]
    assert build.tool_count == 3


def test_row_04_the_index_lives_for_the_stream():
    build = ChunkBuilder(QUIET)
    for key in range(3):
        build.tool_start(key, id=f"c{key}", name="f")
        build.tool_arguments(key, "{}")
    last = build.tool_start(99, id="c99", name="f")
    assert deltas([last])[0]["tool_calls"][0]["index"] == 3


def test_row_10_the_finish_reason_is_null_until_the_last_chunk_of_the_choice():
    reasons = [
        c["choices"][0]["finish_reason"]
        for c in loads(tool_answer(ChunkBuilder(CONTEXT)))
        if c["choices"]
    ]
    assert reasons == [None] * 7 + ["tool_calls"]


def test_row_58_row_59_usage_is_one_chunk_without_choices_and_the_last():
    chunks = loads(tool_answer(ChunkBuilder(CONTEXT)))
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 2},
    }


def test_without_include_usage_no_chunk_speaks_of_it():
    chunks = loads(tool_answer(ChunkBuilder(QUIET)))
    assert all("usage" not in chunk for chunk in chunks)
    assert chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


def test_text_needs_no_escaping_of_our_own():
    text = 'quote " back \\ nl \n nul \0 sep \u2028 emoji 😀 </script>'
    build = ChunkBuilder(QUIET)
    assert deltas([build.text(text)]) == [{"content": text}]
    assert deltas([build.tool_start(0, id="a", name="f"), build.tool_arguments(0, text)])[1] == {
        "tool_calls": [{"index": 0, "function": {"arguments": text}}]
    }


def test_legacy_functions_are_one_call_without_an_id():
    build = ChunkBuilder(ResponseContext("c", 1, "m", legacy_functions=True))
    chunks = [
        build.role(),
        build.tool_start(0, id="ignored", name="f"),
        build.tool_arguments(0, '{"a"'),
        build.tool_arguments(0, ":1}"),
        build.finish(build.call_reason),
    ]
    choice = json.loads(fold(c.data for c in chunks))["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"a":1}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"
    assert ChunkBuilder(QUIET).call_reason == "tool_calls"


def test_custom_calls_come_whole():
    build = ChunkBuilder(QUIET)
    chunks = [
        build.custom_call("k", id="call_c", name="shell", input="ls\n"),
        build.tool_start("l", id="call_d", name="f"),
        build.finish("tool_calls"),
    ]
    assert json.loads(fold(c.data for c in chunks))["choices"][0]["message"]["tool_calls"] == [
        {"id": "call_c", "type": "custom", "custom": {"name": "shell", "input": "ls\n"}},
        {"id": "call_d", "type": "function", "function": {"name": "f", "arguments": ""}},
    ]


def test_a_whole_answer_is_openais_object():
    body = json.loads(
        completion(
            QUIET,
            id="chatcmpl-2",
            model="answered",
            message={"role": "assistant", "content": "Hi", "refusal": None},
            finish_reason="stop",
            usage=USAGE,
        )
    )
    parsed = ChatCompletion.model_validate(body, strict=True)
    assert (parsed.id, parsed.model, parsed.created) == ("chatcmpl-2", "answered", 1_700_000_000)
    assert parsed.choices[0].message.content == "Hi"
    assert parsed.usage is not None
    assert parsed.usage.total_tokens == 15


PIECES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=6)


@st.composite
def built_streams(draw: st.DrawFn) -> list[bytes]:
    """Return the chunks of an answer that a translator could build."""
    build = ChunkBuilder(CONTEXT if draw(st.booleans()) else QUIET)
    chunks = [build.role()]
    tools: list[str] = []

    def call() -> Chunk:
        tools.append(f"key{len(tools)}")
        return build.tool_start(tools[-1], id=f"call_{len(tools)}", name=draw(PIECES))

    makers: list[Callable[[], Chunk]] = [
        lambda: build.text(draw(PIECES)),
        lambda: build.delta(refusal=draw(PIECES)),
        lambda: build.delta(reasoning_content=draw(PIECES)),
        call,
        lambda: (
            build.tool_arguments(draw(st.sampled_from(tools)), draw(PIECES)) if tools else call()
        ),
    ]
    chunks += [draw(st.sampled_from(makers))() for _ in range(draw(st.integers(0, 12)))]
    chunks.append(build.finish("tool_calls" if tools else "stop"))
    chunks += build.usage(USAGE)
    return [chunk.data for chunk in chunks]


LOGPROB = {"token": "a", "bytes": [97], "logprob": -0.5, "top_logprobs": list[Any]()}


@st.composite
def upstream_streams(draw: st.DrawFn) -> list[bytes]:
    """Return the chunks of several choices, as OpenAI interleaves them."""
    count = draw(st.integers(1, 3))
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def chunk(index: int, delta: Json, reason: str | None = None, logprobs: Any = None) -> bytes:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": reason}
        return json.dumps({**head, "choices": [choice], "obfuscation": "xyz"}).encode()

    chunks = [chunk(i, {"role": "assistant", "content": ""}) for i in range(count)]
    for _ in range(draw(st.integers(0, 8))):
        index = draw(st.integers(0, count - 1))
        logprobs = {"content": [LOGPROB], "refusal": None} if draw(st.booleans()) else None
        chunks.append(chunk(index, {"content": draw(PIECES)}, None, logprobs))
    chunks += [chunk(i, {}, "stop") for i in reversed(range(count))]
    return chunks


@given(built_streams() | upstream_streams())
def test_fold_is_what_the_sdk_accumulates(chunks: list[bytes]):
    assert plain(json.loads(fold(chunks))) == plain(sdk_completion(chunks))


@given(built_streams())
def test_a_fold_is_a_completion_of_the_sdk(chunks: list[bytes]):
    ChatCompletion.model_validate_json(fold(chunks), strict=True)


@given(built_streams())
def test_a_stream_without_its_finish_is_truncated(chunks: list[bytes]):
    unfinished = [data for data in chunks if b'"finish_reason":null' in data]
    for count in range(len(unfinished) + 1):
        with pytest.raises(StreamTruncated):
            fold(unfinished[:count])


def test_row_28_a_call_cut_by_the_limit_ends_as_length():
    build = ChunkBuilder(QUIET)
    chunks = [
        build.tool_start(0, id="a", name="f"),
        build.tool_arguments(0, '{"half'),
        build.finish("length"),
    ]
    choice = json.loads(fold(c.data for c in chunks))["choices"][0]
    assert choice["finish_reason"] == "length"
    assert choice["message"]["tool_calls"][0]["function"]["arguments"] == '{"half'
    assert choice["message"]["content"] is None

"""A whole answer is what the chunks of a stream that says the same add up to, byte for byte."""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from translators.chunks import ChunkBuilder, WholeBuilder
from translators.errors import StreamTruncated
from translators.fold import fold
from translators.json import encode
from translators.protocol import Chunk, ResponseContext
from translators.wire.response import CompletionTokensDetails, PromptTokensDetails, Usage

Step = tuple[str, dict[str, Any]]

TEXTS = st.text(st.characters(codec="utf-8"), max_size=6)
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
"""JSON has no others."""

SCALARS = st.none() | st.booleans() | NUMBERS | TEXTS
PLACED = st.fixed_dictionaries(
    {}, optional={"index": st.integers(0, 3), "text": TEXTS, "inner": st.just({"data": "d"})}
)
NATIVE = st.fixed_dictionaries(
    {}, optional={"parts": st.lists(PLACED, max_size=3), "text": TEXTS, "inner": st.just({"n": 1})}
)
"""Providers' own objects; some number the entries of their lists."""

ENTRIES: st.SearchStrategy[Any] = st.lists(
    st.fixed_dictionaries({"index": st.integers(0, 3)}, optional={"text": TEXTS, "more": SCALARS}),
    max_size=2,
)
OBJECTS = st.dictionaries(TEXTS, SCALARS, max_size=2)
EXTRA = st.fixed_dictionaries(
    {}, optional={"extra_content": st.dictionaries(st.sampled_from("ab"), SCALARS, max_size=2)}
)
DELTAS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {},
    optional={
        "refusal": TEXTS,
        "reasoning_content": TEXTS,
        "reasoning_details": ENTRIES,
        "thinking_blocks": st.lists(st.fixed_dictionaries({"thinking": TEXTS}) | TEXTS, max_size=2),
        "audio": st.dictionaries(st.sampled_from(["id", "data", "expires_at"]), SCALARS),
    },
)
CONTEXTS = [
    ResponseContext("chatcmpl-1", 1, "m", include_usage=True, choice=choice, legacy_functions=old)
    for choice in (None, 0, 2)
    for old in (False, True)
]
USAGE = Usage(
    *(3, 2, 5),
    PromptTokensDetails(cached_tokens=1),
    CompletionTokensDetails(reasoning_tokens=2),
)


@st.composite
def steps(draw: st.DrawFn) -> Step:
    """What a translator may say in the middle of an answer."""
    key, text = draw(st.sampled_from(["k", 7])), draw(TEXTS)
    name = draw(st.sampled_from(["text", "delta", "tool_start", "arguments", "custom", "logprobs"]))
    if name == "text":
        return "text", {"text": text}
    if name == "delta":
        return "delta", draw(DELTAS)
    if name == "tool_start":
        return "tool_start", {"key": key, "id": "c", "name": "f", **draw(EXTRA)}
    if name == "arguments":
        return "tool_arguments", {"key": key, "text": text}
    if name == "custom":
        return "custom_call", {"key": key, "id": "d", "name": "g", "input": text, **draw(EXTRA)}
    return "logprobs", {"entries": draw(st.lists(OBJECTS, max_size=2))}


@st.composite
def ends(draw: st.DrawFn) -> list[Step]:
    """How it ends."""
    reason = draw(st.sampled_from(["stop", "tool_calls", "length"]))
    beside = draw(st.fixed_dictionaries({}, optional={"moderation": OBJECTS}))
    usage = draw(st.sampled_from([USAGE, Usage(1, 0, 1)]))
    return [("finish", {"reason": reason, **beside}), ("usage", {"usage": usage})]


def told(build: ChunkBuilder, said: list[Step]) -> list[Chunk]:
    """Say all of it; return the chunks."""
    chunks: list[Chunk] = []
    opened: set[Any] = set()
    for name, fields in said:
        if name == "tool_arguments" and fields["key"] not in opened:
            continue
        opened.add(fields.get("key"))
        found: Any = getattr(build, name)(**fields)
        chunks += found if name == "usage" else [found]
    return chunks


@given(
    st.sampled_from(CONTEXTS),
    st.sampled_from([None, "priority"]),
    st.booleans(),
    st.lists(steps(), max_size=8),
    ends(),
)
def test_a_whole_answer_is_the_fold_of_its_stream(
    context: ResponseContext, tier: str | None, role: bool, middle: list[Step], end: list[Step]
):
    said: list[Step] = [("role", {})] if role else []
    said += [*middle, *end]
    before = encode([fields for _, fields in said])
    streamed, whole = ChunkBuilder(context), WholeBuilder(context)
    for build in (streamed, whole):
        build.identify("own", "answered", service_tier=tier)
    chunks = told(streamed, said)
    assert not any(chunk.data for chunk in told(whole, said))
    assert whole.completion() == fold(chunk.data for chunk in chunks)
    assert encode([fields for _, fields in said]) == before


@given(st.lists(NATIVE, max_size=3))
def test_what_is_told_is_not_changed(natives: list[dict[str, Any]]):
    """Providers' own objects are kept for the next turn as they came."""
    before = copy.deepcopy(natives)
    build = WholeBuilder(ResponseContext("c", 1, "m"))
    for native in natives:
        build.delta(extra_content={"google": native})
    build.finish("stop")
    build.completion()
    assert natives == before


def test_an_answer_without_its_end_is_no_answer():
    build = WholeBuilder(ResponseContext("c", 1, "m"))
    build.text("Hi")
    with pytest.raises(StreamTruncated):
        build.completion()

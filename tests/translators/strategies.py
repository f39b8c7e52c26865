"""Anything that may be asked or answered, for the properties of every dialect."""

import copy
from typing import Any, TypeVar, cast

from hypothesis import assume
from hypothesis import strategies as st

from tests.translators.chat_requests import PNG, chat_of
from tests.translators.streams import Json, Streams
from translators.errors import TranslationError
from translators.protocol import Translator

__all__ = [
    "OBJECTS",
    "TOOL",
    "WORDS",
    "changed_events",
    "changed_request",
    "conversations",
    "cuts",
    "grown_bodies",
    "grown_requests",
    "requests",
]

RequestT = TypeVar("RequestT")

WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
OBJECTS = st.dictionaries(WORDS, st.none() | st.booleans() | st.integers() | WORDS, max_size=3)

TOOL: Json = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
_CUSTOM_TOOL: Json = {"type": "custom", "custom": {"name": "c"}}
_IMAGE: Json = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
_FILE: Json = {"type": "file", "file": {"file_data": "data:text/plain,hello", "filename": "a.txt"}}

_TEXTS = st.sampled_from(["", " ", "Hi", "ø 🎉", "\u2028"])
_SAID = st.sampled_from(["Hi", "ø 🎉", "a b"])
_IDS = st.sampled_from(["call_1", "call.1", "call_1_2", "é", "toolu_1", "a" * 80])
_TEXT_PARTS: st.SearchStrategy[Json] = _TEXTS.map(lambda text: {"type": "text", "text": text})
_CONTENT: st.SearchStrategy[Any] = _TEXTS | st.lists(
    _TEXT_PARTS | st.sampled_from([_IMAGE, _FILE]), max_size=3
)
_PLAIN: st.SearchStrategy[Any] = _TEXTS | st.lists(_TEXT_PARTS, max_size=2)


def cuts(body: bytes) -> st.SearchStrategy[list[int]]:
    """Places where bytes are cut."""
    return st.lists(st.integers(0, len(body)), max_size=8)


@st.composite
def _spoken(draw: st.DrawFn) -> list[Json]:
    """What may stand between two answers."""
    roles = draw(st.lists(st.sampled_from(["user", "user", "system", "developer"]), max_size=3))
    return [
        {"role": role, "content": draw(_CONTENT if role == "user" else _PLAIN)} for role in roles
    ]


@st.composite
def conversations(draw: st.DrawFn, calls: st.SearchStrategy[Json]) -> list[Json]:
    """Messages whose results fit their calls; `calls` are calls without their ids."""
    messages = draw(_spoken())
    for _ in range(draw(st.integers(0, 4))):
        ids = draw(st.lists(_IDS, max_size=3))
        answer: Json = {"role": "assistant", "content": draw(_SAID)}
        if ids:
            answer["tool_calls"] = [{"id": id, "type": "function", **draw(calls)} for id in ids]
        results = [{"role": "tool", "tool_call_id": id, "content": draw(_CONTENT)} for id in ids]
        between = draw(_spoken())
        messages += [answer, *draw(st.permutations(results + between))]
    return messages


@st.composite
def requests(
    draw: st.DrawFn, calls: st.SearchStrategy[Json], **more: st.SearchStrategy[Any]
) -> Json:
    """Requests of any fields that every dialect takes, and `more`."""
    optional = {
        "tools": st.sampled_from([[], [TOOL], [TOOL, _CUSTOM_TOOL]]),
        "parallel_tool_calls": st.booleans(),
        "max_tokens": st.integers(1, 9000),
        "temperature": st.sampled_from([0, 0.5, 1, 2]),
        "top_p": st.sampled_from([0, 0.5, 1]),
        "stop": st.sampled_from(["a", ["a", " "], []]),
        "stream": st.booleans(),
        "user": _SAID,
        "service_tier": st.sampled_from(["auto", "default", "flex", "priority"]),
        "reasoning_effort": st.sampled_from(["none", "minimal", "low", "xhigh", "max"]),
        "seed": st.integers(0, 9),
        **more,
    }
    fields = draw(st.fixed_dictionaries({}, optional=optional))
    if fields.get("tools"):
        choices = st.sampled_from(["auto", "none", "required"])
        fields |= draw(st.fixed_dictionaries({}, optional={"tool_choice": choices}))
    return {"model": "persona", "messages": draw(conversations(calls)), **fields}


def grown_bodies(
    streams: Streams, messages: list[Json], data: st.DataObject, model: str
) -> tuple[Json, Json]:
    """Return the native bodies of a conversation's beginning and of the whole of it."""
    shorter, longer = grown_requests(streams.translator, messages, data, model)
    return shorter.body, longer.body


def grown_requests(
    translator: Translator[RequestT, Any, Any],
    messages: list[Json],
    data: st.DataObject,
    model: str,
) -> tuple[RequestT, RequestT]:
    """Return the native requests of a conversation's beginning and of the whole of it."""
    answers = [i for i, message in enumerate(messages) if message["role"] == "assistant" and i]
    assume(answers)
    cut = data.draw(st.sampled_from(answers))
    shared: Json = {"model": "persona", "tools": [TOOL]}
    old, new = (chat_of({**shared, "messages": part}) for part in (messages[:cut], messages))
    try:
        longer = translator.request(new, model=model)
        shorter = translator.request(old, model=model)
    except TranslationError:
        assume(False)
        raise
    return shorter.request, longer.request


def changed_events(
    data: st.DataObject, events: list[Json], *, words: list[str], names: list[str]
) -> list[Json]:
    """Return native events of which one field, old or new, was set to anything.

    Args:
        data: Where to draw from.
        events: As they should be.
        words: Texts that mean something in them.
        names: Fields that do.
    """
    anything: st.SearchStrategy[Any] = st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from(["", "x", *words]),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(names), inner, max_size=3)
        ),
        max_leaves=5,
    )
    changed = copy.deepcopy(events)
    place = data.draw(st.sampled_from(_objects_in(changed)))
    place[data.draw(st.sampled_from([*place, "new"]))] = data.draw(anything)
    return changed


ODD: list[Any] = [
    *(None, True, False, 0, -1, 1.5, 1e18, 10**25, "", " ", "x", "é🎉", "#", "auto", "object"),
    *([], {}, ["a"], [["a"]], [{}], [None], {"a": {}}, {"type": "x"}, {"type": "object"}),
]
"""Values that are seldom what is meant."""

_FIELDS = (
    *("type", "format", "pattern", "const", "enum", "anyOf", "oneOf", "allOf", "$ref", "required"),
    *("nullable", "items", "minItems", "minimum", "default", "$anchor", "$defs", "cache_control"),
    *("thinking", "signature", "data", "reasoning_details", "thinking_blocks", "extra_content"),
    *("web_search_options", "index", "text_after"),
)


def changed_request(data: st.DataObject, request: Json) -> Json:
    """Return a request with odd values in one to three places, perhaps in fields of any kind."""
    changed: Any = copy.deepcopy(request)
    for _ in range(data.draw(st.integers(1, 3))):
        place: Any = data.draw(st.sampled_from(_places_in(changed)))
        inside = not isinstance(place, list)
        keys: list[Any] = list(place if inside else range(len(cast("list[Any]", place))))
        if inside and (not keys or data.draw(st.booleans())):
            keys = list(_FIELDS)
        if keys:
            key = data.draw(st.sampled_from(keys))
            place[key] = copy.deepcopy(data.draw(st.sampled_from(ODD) | st.just(place)))
    return changed


def _places_in(value: Any) -> list[Any]:
    """Return every object and every list inside a value, itself included."""
    if isinstance(value, dict):
        entries = list(cast("Json", value).values())
    elif isinstance(value, list):
        entries = cast("list[Any]", value)
    else:
        return []
    found: list[Any] = [value]
    for entry in entries:
        found += _places_in(entry)
    return found


def _objects_in(value: Any) -> list[Json]:
    """Return every object inside a value, itself included."""
    if isinstance(value, list):
        return [found for entry in cast("list[Any]", value) for found in _objects_in(entry)]
    if not isinstance(value, dict):
        return []
    fields = cast("Json", value)
    return [fields, *(found for entry in fields.values() for found in _objects_in(entry))]

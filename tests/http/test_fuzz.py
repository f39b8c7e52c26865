"""No input, however strange, is an internal error: requests mutated at random, and random bytes."""

import copy
import json
from collections.abc import Iterator
from typing import Any, cast

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.http.wire import CHAT, assert_error, events_of
from tests.serving import Proxy

CALL = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": '{"a":1}'}}
TOOL = {
    "type": "function",
    "function": {
        "name": "look",
        "description": "Looks.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
SEEDS: list[dict[str, Any]] = [
    {"messages": [{"role": "user", "content": "Hi"}], "temperature": 0.5, "max_tokens": 50},
    {
        "messages": [
            {"role": "system", "content": "Be short."},
            {"role": "user", "content": [{"type": "text", "text": "Look"}]},
            {"role": "assistant", "content": None, "tool_calls": [CALL]},
            {"role": "tool", "tool_call_id": "call_1", "content": "seen"},
            {"role": "user", "content": "And?"},
        ],
        "tools": [TOOL],
        "tool_choice": "auto",
        "parallel_tool_calls": False,
        "stream": True,
        "stream_options": {"include_usage": True},
    },
    {
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "What is it?"},
                    {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "JVBERi0="}},
                ],
            },
        ],
        "tools": [TOOL, {"type": "custom", "custom": {"name": "write"}}],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "reasoning_effort": "low",
        "metadata": {"a": "b"},
        "user": "u",
    },
    {
        "messages": [{"role": "developer", "content": "x"}, {"role": "user", "content": "Hi"}],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "n", "schema": {"type": "object", "properties": {}}},
        },
        "stop": ["a", "b"],
        "seed": 1,
        "n": 1,
        "logprobs": True,
        "top_logprobs": 2,
        "logit_bias": {"1": 5},
        "store": False,
        "service_tier": "auto",
    },
]

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
WORDS = ["text", "image_url", "file", "function", "custom", "tool", "user", "assistant", "system"]
SCALARS = st.one_of(
    *(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), TEXT),
    st.sampled_from([0, -1, 1.0, 2**63, 2**64, 10**40, "", " ", "\x00", "\u2028", *WORDS]),
)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


def _places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the way to everything that can be replaced."""
    if isinstance(value, dict):
        for key, inner in cast("dict[str, Any]", value).items():
            yield (*path, key)
            yield from _places(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(cast("list[Any]", value)):
            yield (*path, index)
            yield from _places(inner, (*path, index))


@st.composite
def requests(draw: st.DrawFn) -> dict[str, Any]:
    """A valid request in which one to three places are wrong."""
    persona = draw(st.sampled_from(["openai_only", "anthropic_only"]))
    body = {"model": persona, **copy.deepcopy(draw(st.sampled_from(SEEDS)))}
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(sorted(_places(body), key=repr)))
        _mutate(draw, body, path)
        if not body:
            break
    return body


def _mutate(draw: st.DrawFn, body: Any, path: tuple[Any, ...]) -> None:
    *way, last = path
    parent = body
    for step in way:
        parent = parent[step]
    match draw(st.sampled_from(["replace", "remove", "wrap", "add", "copy"])):
        case "remove":
            del parent[last]
        case "wrap":
            parent[last] = draw(st.sampled_from([[parent[last]], {"value": parent[last]}]))
        case "add" if isinstance(parent, dict):
            parent[draw(TEXT)] = draw(JSON)
        case "copy" if isinstance(parent, list):
            items = cast("list[Any]", parent)
            items.append(copy.deepcopy(items[last]))
        case _:
            parent[last] = draw(JSON)


@pytest.fixture(scope="module")
def client(proxy: Proxy) -> Iterator[httpx.Client]:
    headers = {"content-type": "application/json"}
    with httpx.Client(
        base_url=proxy.url, headers=headers, trust_env=False, verify=False, timeout=20
    ) as client:
        yield client


FUZZ = settings(
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


def _assert_sane(answer: httpx.Response) -> None:
    """Check that an answer is a whole completion, or an error of the client's own making."""
    if answer.status_code != 200:
        assert answer.status_code in (400, 404, 413, 415), answer.text
        assert_error(answer, answer.status_code)
    elif answer.headers["content-type"].startswith("text/event-stream"):
        assert events_of(answer.content)[-1] == "[DONE]"
    else:
        assert answer.json()["object"] == "chat.completion"


@settings(FUZZ, max_examples=300)
@given(body=requests())
def test_a_mutated_request_is_answered_or_refused(client: httpx.Client, body: Any) -> None:
    _assert_sane(client.post(CHAT, content=json.dumps(body, ensure_ascii=False).encode()))


@settings(FUZZ, max_examples=100)
@given(body=st.binary(max_size=200) | st.text(max_size=100).map(lambda text: text.encode("utf-8")))
def test_random_bytes_are_refused(client: httpx.Client, body: bytes) -> None:
    answer = client.post(CHAT, content=body)
    assert answer.status_code == 400
    assert_error(answer, 400)


@settings(FUZZ, max_examples=100)
@given(data=st.data())
def test_a_damaged_request_is_answered_or_refused(
    client: httpx.Client, data: st.DataObject
) -> None:
    """Bytes of a valid request, of which some were changed, left out or repeated."""
    seed = data.draw(st.sampled_from(SEEDS))
    raw = bytearray(json.dumps({"model": "openai_only", **seed}).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    _assert_sane(client.post(CHAT, content=bytes(raw)))


@settings(FUZZ, max_examples=100)
@given(
    values=st.lists(
        st.tuples(
            st.sampled_from(
                [
                    *("x-request-id", "x-ep-strict", "authorization", "traceparent", "tracestate"),
                    *("baggage", "content-encoding", "accept", "content-type", "x-odd", "cookie"),
                ]
            ),
            st.binary(max_size=30).map(
                lambda raw: bytes(b for b in raw if b == 9 or (b >= 32 and b != 127))
            ),
        ),
        max_size=5,
    )
)
def test_no_header_is_an_internal_error(client: httpx.Client, values: Any) -> None:
    headers = [(name.encode(), value.strip()) for name, value in values]
    body = {"model": "openai_only", **SEEDS[0]}
    _assert_sane(client.post(CHAT, content=json.dumps(body).encode(), headers=headers))


def test_the_server_has_no_error_to_tell_of(client: httpx.Client, proxy: Proxy) -> None:
    """The last of this module: after all of the above."""
    assert client.get("/healthz").status_code == 200
    assert proxy.tracebacks() == []
    assert "internal error" not in proxy.log()

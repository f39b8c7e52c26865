"""What follows a first request is limited, and what was given up leaves nothing behind."""

import asyncio
import json
import socket
from collections.abc import AsyncGenerator, Awaitable, Iterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest

from policy.schema import Timeouts
from proxy.call import Call, SharedBody
from proxy.choices import Choices
from proxy.http import HttpClient, HttpTransport
from proxy.ticker import Ticker
from tests.http.scripted import ENDINGS, OPENINGS, Play, Stage, delta, scripted
from tests.http.wire import (
    Connection,
    assert_error,
    assert_error_object,
    body_of,
    chat,
    events_of,
    eventually,
    text_of,
)
from tests.providers import UPSTREAM_KEY, closed_port
from tests.proxy.played_provider import ask, context, played
from tests.serving import Proxy
from translators.errors import TimeoutError as ProviderTimeout
from translators.protocol import HttpRequest

Json = dict[str, Any]
ResultT = TypeVar("ResultT")

AT_ONCE = 1.0
"""Seconds until the provider's connections must be gone."""

MIB = 1024 * 1024
LARGE = "x" * (15 * MIB)

_LONG = {"connect": 5, "first_token": 30, "idle": 30, "total": 60}
_LIMITS: dict[str, Json] = {
    "first_token": {**_LONG, "first_token": 0.5},
    "total": {**_LONG, "total": 0.7},
    "long": _LONG,
}


@pytest.fixture(scope="module")
def port() -> int:
    return closed_port()


@pytest.fixture(scope="module")
def server(port: int) -> Iterator[Proxy]:
    """A server whose only provider is one that the test plays."""
    url = f"http://127.0.0.1:{port}"
    dialects = {
        "openai": ("openai_chat", f"{url}/v1", "gpt-4.1"),
        # An older API, which enforces no JSON schema.
        "anthropic": ("anthropic_messages", url, "glm-5"),
        "gemini": ("gemini_generate", url, "gemini-2.5-pro"),
    }
    capabilities = [
        *("system_prompts", "streaming", "json_mode", "json_schema", "multiple_choices"),
    ]
    providers = {
        f"{name}_{limit}": {
            **{"dialect": dialect, "base_url": base, "model": model, "timeouts": timeouts},
            **{"api_key_env": "UPSTREAM_KEY", "capabilities": capabilities},
            **({"discover": False} if name == "anthropic" else {}),
        }
        for name, (dialect, base, model) in dialects.items()
        for limit, timeouts in _LIMITS.items()
    }
    personas = {name: {"provider_preferences": [name]} for name in providers}
    policy = {"providers": providers, "personas": personas}
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as process:
        yield process


def sockets_to(port: int) -> int:
    """Return how many sockets are connected to a port, or still have something to say to it."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    # The state 06 is TIME_WAIT: nothing of a connection is left but its name.
    return sum(
        remote.endswith(f":{port:04X}") and state != "06"
        for _, _, remote, state, *_ in (line.split() for line in lines)
    )


async def none_to(port: int) -> None:
    async def none() -> bool:
        return sockets_to(port) == 0

    await eventually(none, AT_ONCE, "the end of the upstream connections")


def gemini(text: str, *, token: str | None = None, finish: str | None = None) -> bytes:
    candidate: Json = {"content": {"role": "model", "parts": [{"text": text}]}, "index": 0}
    if token is not None:
        candidate["continuationToken"] = token
    if finish is not None:
        candidate["finishReason"] = finish
    event = {"candidates": [candidate], "modelVersion": "played", "responseId": "r1"}
    return b"data: " + json.dumps(event).encode() + b"\r\n\r\n"


def said(text: str) -> bytes:
    """Return a whole answer of Anthropic's."""
    return OPENINGS["anthropic"] + delta("anthropic", text) + ENDINGS["anthropic"]


async def bounded(work: Awaitable[ResultT]) -> ResultT:
    """Wait for what could take for ever: heartbeats keep a client's own limit from running out."""
    async with asyncio.timeout(10):
        return await work


async def begin(stage: Stage, content_type: str = "text/event-stream") -> None:
    """Send the head of an answer; its connection is for one answer only."""
    head = f"HTTP/1.1 200 OK\r\ncontent-type: {content_type}\r\nconnection: close\r\n"
    stage.writer.write(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
    await stage.writer.drain()


SECONDS = {"first_token": "0.5 s", "total": "0.7 s"}


@pytest.mark.parametrize("limit", SECONDS)
async def test_the_rest_of_an_answer_is_not_waited_for_for_ever(
    server: Proxy, port: int, limit: str
) -> None:
    asked = 0

    async def play(stage: Stage) -> None:
        nonlocal asked
        asked += 1
        if "continuationToken" in stage.body:
            await stage.gone()
            return
        await begin(stage)
        await stage.send(gemini("the first part", token="t1", finish="CONTINUATION"))
        await stage.finish()

    async with scripted(port, play):
        answer = await bounded(chat(server, f"gemini_{limit}", stream=True))
        await none_to(port)
    *chunks, last = events_of(answer.content)
    assert text_of(chunks) == "the first part"
    assert not any(c["choices"][0]["finish_reason"] for c in chunks)
    assert_error_object(last["error"])
    assert last["error"]["type"] == "timeout"
    assert SECONDS[limit] in last["error"]["message"]
    assert asked == 2


def mends_for_ever() -> Play:
    """Play answers of which the first is right, the second is not, and no more are given."""
    asked = 0

    async def play(stage: Stage) -> None:
        nonlocal asked
        asked += 1
        if asked > 2:
            await stage.gone()
            return
        text = '{"a": 1}' if asked == 1 else "no JSON"
        if stage.body.get("stream"):
            await begin(stage)
            await stage.send(said(text))
        else:
            await begin(stage, "application/json")
            message = {
                **{"id": "m", "type": "message", "role": "assistant", "model": "played"},
                **{"content": [{"type": "text", "text": text}], "stop_reason": "end_turn"},
                **{"stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1}},
            }
            await stage.send(json.dumps(message).encode())
        await stage.finish()

    return play


@pytest.mark.parametrize("limit", SECONDS)
async def test_one_choice_that_is_never_mended_ends_all_of_them(
    server: Proxy, port: int, limit: str
) -> None:
    options: Json = {"n": 2, "response_format": {"type": "json_object"}}
    async with scripted(port, mends_for_ever()):
        answer = await bounded(chat(server, f"anthropic_{limit}", stream=True, **options))
        await none_to(port)
    *chunks, last = events_of(answer.content)
    assert json.loads(text_of(chunks)) == {"a": 1}
    assert last["error"]["type"] == "timeout"
    assert SECONDS[limit] in last["error"]["message"]


async def test_a_whole_answer_that_is_never_mended_is_a_504(server: Proxy, port: int) -> None:
    options: Json = {"n": 2, "response_format": {"type": "json_object"}}
    async with scripted(port, mends_for_ever()):
        answer = await chat(server, "anthropic_total", **options)
        await none_to(port)
    assert "0.7 s" in assert_error(answer, 504, type="timeout")["message"]


async def test_nothing_more_is_asked_for_when_the_time_is_spent(port: int) -> None:
    asked: list[str] = []

    async def authorize(url: str, body: bytes) -> dict[str, str]:
        asked.append(url)
        return {}

    client = HttpClient(Ticker())
    limits = Timeouts(total=1.0)
    transport = HttpTransport(client, f"http://127.0.0.1:{port}", {}, "", limits, authorize)
    call = Call(began=asyncio.get_running_loop().time() - 2.0)
    try:
        with pytest.raises(ProviderTimeout) as caught:
            await transport.open(HttpRequest("/x", {}), call)
    finally:
        await client.aclose()
    assert (caught.value.phase, caught.value.seconds) == ("total", 1.0)
    assert asked == []


class Deaf:
    """A provider that takes connections and never reads a request to its end."""

    def __init__(self, says: bytes) -> None:
        self._says = says
        self._stack = ExitStack()
        self.taken = 0

    @asynccontextmanager
    async def listening(self, port: int) -> AsyncGenerator[None]:
        """Listen on a port; what was taken stays open until the end."""
        listener = self._stack.enter_context(socket.socket())
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", port))
        listener.listen(64)
        listener.setblocking(False)
        task = asyncio.create_task(self._take(listener))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            self._stack.close()

    async def _take(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            self._stack.enter_context(connection)
            connection.setblocking(False)
            # The first bytes are there when the answer is: no client takes one that is earlier.
            await loop.sock_recv(connection, 100)
            if self._says:
                await loop.sock_sendall(connection, self._says)
            self.taken += 1

    async def reached(self, count: int = 1) -> None:
        async def reached() -> bool:
            return self.taken == count

        await eventually(reached, 20, "the request")


_EVENTS = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
_BEGINNING = OPENINGS["anthropic"] + delta("anthropic", "so far")


@pytest.mark.parametrize("size", [3 * MIB, 15 * MIB], ids=["in-the-kernel", "with-us"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_leaving_while_the_request_is_being_sent_leaves_no_connection(
    server: Proxy, port: int, stream: bool, size: int
) -> None:
    """Wherever it is that the rest of the request waits to be sent."""
    deaf = Deaf(b"")
    async with deaf.listening(port):
        body = body_of("openai_long", "x" * size, stream=stream)
        async with await Connection.ask(server, body) as client:
            await deaf.reached()
            assert sockets_to(port) == 1
            await client.close()
            await none_to(port)


async def test_leaving_in_mid_stream_of_an_answer_to_half_a_request_leaves_no_connection(
    server: Proxy, port: int
) -> None:
    deaf = Deaf(_EVENTS + b"content-length: 999999\r\n\r\n" + _BEGINNING)
    async with deaf.listening(port):
        body = body_of("anthropic_long", LARGE, stream=True)
        async with await Connection.ask(server, body) as client:
            await client.until(b"so far")
            assert sockets_to(port) == 1
            await client.close()
            await none_to(port)


async def test_a_request_that_is_not_read_in_time_leaves_no_connection(
    server: Proxy, port: int
) -> None:
    async with Deaf(b"").listening(port):
        answer = await chat(server, "openai_first_token", LARGE, stream=True)
        await none_to(port)
    assert_error(answer, 504, type="timeout")


async def test_the_end_of_an_answer_to_half_a_request_leaves_no_connection(
    server: Proxy, port: int
) -> None:
    told = said("all of it")
    deaf = Deaf(_EVENTS + b"content-length: %d\r\n\r\n" % len(told) + told)
    async with deaf.listening(port):
        answer = await chat(server, "anthropic_long", LARGE, stream=True)
        await none_to(port)
    assert text_of(events_of(answer.content)) == "all of it"


async def test_a_refusal_of_half_a_request_leaves_no_connection(server: Proxy, port: int) -> None:
    refusal = b'{"error": {"message": "too large", "type": "invalid_request_error"}}'
    head = b"HTTP/1.1 413 Too Large\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    async with Deaf(head % len(refusal) + refusal).listening(port):
        answer = await chat(server, "openai_long", LARGE)
        await none_to(port)
    assert "too large" in assert_error(answer, answer.status_code)["message"]


async def test_the_choices_of_a_large_request_share_its_body(server: Proxy, port: int) -> None:
    deaf = Deaf(b"")
    used: list[int] = []
    async with deaf.listening(port):
        for n in (2, 24):
            deaf.taken = 0
            body = body_of("anthropic_long", LARGE, stream=True, n=n)
            async with await Connection.ask(server, body) as client:
                await deaf.reached(n)
                used.append(server.rss())
                await client.close()
                await none_to(port)
    # What the first needed is in use again.
    assert used[1] - used[0] < 3 * len(LARGE)


def test_bodies_that_are_alike_are_sent_as_the_same_bytes() -> None:
    shared = SharedBody()
    first = shared.encode({"a": "b" * 100})
    assert shared.encode({"a": "b" * 100}) is first
    assert shared.encode({"a": "c"}) == b'{"a":"c"}'
    assert shared.encode({"a": "b" * 100}) == first


async def test_what_choices_share_is_let_go_when_their_answers_begin() -> None:
    call = Call()
    provider, transport = played([("text", "a"), ("end", "stop")])
    choices = Choices(ask(provider, n=2), context())
    answer = await choices.open(call)
    assert len(transport.requests) == 2
    assert call.shared is None
    await answer.aclose()
    await choices.complete(call)
    assert call.shared is None

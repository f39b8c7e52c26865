"""Stands between the CLI's processes and the API: what a request is worth of calls, and no more.

1. The CLI repeats failed calls, has cut answers continued and empty ones asked for again, and no
   switch keeps it from all of that. Here one call passes for each request; a run with tools of its
   own has as many as its policy grants, each of which goes on with what the CLI was told: the
   tools know the door, too.
2. A process never holds the key of the API, nor what leads out of this machine: it has the address
   of a door of ours, with a random name, and the key is put in on our side of it.
3. A call that does not say what the CLI was told (`translators.claude_agent.told`) is not let
   through.
4. Status, id and error of the API's answer are read here, where they are whole: of a refusal the
   CLI tells some text. Here, too, the call gets the trace context of its attempt, and it ends with
   its process.
5. What a process reports of its own spans comes to its door, too, and goes on to the collector
   (`otlp_relay`), also after its answer.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final

import msgspec
from starlette.types import Receive, Scope, Send

from proxy.call import Call
from proxy.http import HttpStatusError, HttpTransport
from proxy.loopback import TRANSPORT, LoopbackServer
from proxy.providers.claude_agent.cli_telemetry import sampled
from proxy.providers.claude_agent.errors import UnknownCli
from proxy.providers.claude_agent.otlp_relay import MAX_REPORT, Expected, OtlpRelay
from translators.anthropic_messages.errors import error_from_response
from translators.claude_agent.request import AgentRequest
from translators.claude_agent.told import difference
from translators.errors import ProviderError
from translators.json import UNREADABLE

__all__ = ["Door", "Gate"]

MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of a call. The API takes half of that."""

_LARGE: Final = 256 * 1024
_CALL: Final = b'"tool_use"'
"""In the API's answer where the model calls a tool, and in no text, whose quotes are escaped."""

_PATH: Final = "v1/messages"
_REPORTS: Final = "v1/traces"
_REFUSED: Final = (
    b'{"type":"error","error":{"type":"permission_error",'
    b'"message":"This process has no call of the API left."}}'
)
_OURS: Final = frozenset(
    {
        *("accept-encoding", "connection", "content-length", "host", "keep-alive"),
        *("baggage", "traceparent", "tracestate", "transfer-encoding"),
    }
)
"""Headers of a call that are not passed on: those of its connection, and those that we make."""

_decode = msgspec.json.Decoder(dict[str, Any]).decode


class Gate:
    """One for all processes of a provider.

    Args:
        api: To the API, with the key if there is one.
        has_key: Whether it is `api` that has the credential; else the CLI brings its own.
        relay: Takes what processes report of their spans; None: they report nothing.
    """

    def __init__(
        self, api: HttpTransport, *, has_key: bool, relay: OtlpRelay | None = None
    ) -> None:
        self._api = api
        self.relay = relay
        self._dropped = _OURS | ({"x-api-key", "authorization"} if has_key else set[str]())
        self._doors: dict[str, Door] = {}
        self._server = LoopbackServer(self._serve)
        self._opening: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Begin to listen, unless it does already.

        Raises:
            OSError: There is no port to be had.
        """
        if self._opening is None:
            self._opening = asyncio.create_task(self._server.start())
        try:
            await asyncio.shield(self._opening)
        except OSError:
            self._opening = None
            raise

    def door(self) -> "Door":
        """Return a new door, shut until `Door.expect`."""
        door = Door(self)
        self._doors[door.name] = door
        return door

    @property
    def url(self) -> str:
        """The address; each door's is below it."""
        return self._server.url

    @property
    def doors(self) -> int:
        """How many there are."""
        return len(self._doors)

    def has(self, door: "Door") -> bool:
        """Whether a door is there still."""
        return door.name in self._doors

    def remove(self, door: "Door") -> None:
        """Forget a door."""
        self._doors.pop(door.name, None)

    async def aclose(self) -> None:
        """Close all doors, and stop to listen."""
        for door in list(self._doors.values()):
            door.close()
        if self._opening is not None:
            with suppress(OSError):
                await self._opening
            await self._server.aclose()
        if self.relay is not None:
            await self.relay.aclose()

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        name, _, path = scope["path"].removeprefix("/").partition("/")
        door = self._doors.get(name)
        if door is None or scope["method"] != "POST" or path not in (_PATH, _REPORTS):
            # The CLI looks now and then whether there is anybody.
            await _answer(send, 404, b"")
            return
        if path == _REPORTS:
            await self._take_report(door, receive, send)
            return
        body = await _body(receive, MAX_BODY)
        if body is None:
            door.fail(ProviderError(f"The call is larger than {MAX_BODY} bytes.", kind="too_large"))
            await _answer(send, 413, _REFUSED)
        elif not await door.admits(body):
            await _answer(send, 403, _REFUSED)
        else:
            await self._pass_on(door, body, scope, receive, send)

    async def _take_report(self, door: "Door", receive: Receive, send: Send) -> None:
        report = await _body(receive, MAX_REPORT)
        if self.relay is not None and report is not None:
            self.relay.take(report, door.expected)
        # An empty `ExportTraceServiceResponse`: nobody may wait for the collector.
        await _answer(send, 200, b"", b"application/x-protobuf")

    async def _pass_on(
        self, door: "Door", body: bytes, scope: Scope, receive: Receive, send: Send
    ) -> None:
        headers = {
            name: value.decode("latin-1")
            for key, value in scope["headers"]
            if (name := key.decode("latin-1")) not in self._dropped
        }
        query = scope["query_string"].decode("latin-1")
        path = f"/{_PATH}?{query}" if query else f"/{_PATH}"
        passing = asyncio.create_task(self._passing(door, path, headers, body, send))
        leaving = asyncio.create_task(_left(receive))
        leaving.add_done_callback(lambda _: passing.cancel())
        door.passing = passing
        try:
            await asyncio.wait([passing])
        except BaseException:
            passing.cancel()
            leaving.cancel()
            raise
        error = None if passing.cancelled() else passing.exception()
        if isinstance(error, HttpStatusError | ProviderError):
            door.fail(error)
        elif error is not None:
            raise error
        if error is not None or passing.cancelled():
            # The process is gone, or about to be: it must not take what came for all there is.
            scope["extensions"][TRANSPORT]["transport"].abort()
        else:
            leaving.cancel()
        await asyncio.wait([leaving])

    async def _passing(
        self, door: "Door", path: str, headers: Mapping[str, str], body: bytes, send: Send
    ) -> None:
        answer = await self._api.pass_on(path, headers, body, door.call)
        door.answered = True
        kind = (b"content-type", answer.content_type.encode("latin-1"))
        try:
            await send({"type": "http.response.start", "status": 200, "headers": [kind]})
            while piece := await answer.piece():
                door.passes(piece)
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            answer.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Door:
    """One process's way to the API.

    Attributes:
        name: Known to its process alone.
        call: What goes along with a call, and what is learned from its answer.
        expected: What its process is to report of.
        error: Why a call failed; None: none has.
        admitted: Set when the first call has been let through.
        exhausted: Whether a call was refused because there were enough of them.
        answered: Whether an answer has begun: then the CLI tells what came of it before it failed.
        passing: The call that is being made.
        on_failure: Called where a call fails before its answer has begun.
    """

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._left = 0
        self._told: AgentRequest | None = None
        self._runs = False
        self._tail = b""
        self.name = secrets.token_urlsafe(24)
        self.call = Call()
        self.expected = Expected(None)
        self.error: ProviderError | None = None
        self.admitted = asyncio.Event()
        self.exhausted = False
        self.answered = False
        self.passing: asyncio.Task[None] | None = None
        self.on_failure: Callable[[], None] | None = None

    @property
    def url(self) -> str:
        """What the process takes for the API's base URL."""
        return f"{self._gate.url}/{self.name}"

    @property
    def reports(self) -> bool:
        """Whether its process has spans to tell of, for which it must live a moment longer."""
        return self._gate.relay is not None and sampled(self.call.traceparent)

    def expect(self, request: AgentRequest, call: Call, *, calls: int | None = None) -> None:
        """Let calls pass that say what `request` does: all of it, and an agent's no less.

        Args:
            request: What the process is told.
            call: What goes along.
            calls: How many an agent may make; None: no agent, so there is one.
        """
        self._told, self.call = request, call
        self._left = 1 if calls is None else calls
        self._runs = calls is not None
        history = sum(turn["role"] == "user" for turn in request.turns) - 1
        self.expected = Expected(call.traceparent, history=history, tools=calls is not None)

    async def admits(self, body: bytes) -> bool:
        """Whether a call may pass; one that may counts."""
        if self.error is not None:
            return False
        if self._left <= 0 or self._told is None:
            self.exhausted = self._told is not None
            return False
        what = await self._difference(body, self._told)
        if what is not None and not self.admitted.is_set():
            self.fail(UnknownCli.left_out(what))
        if what is not None or self._left <= 0:
            # Not the CLI's next call, but what one of its tools makes of our address; or the door
            # was shut while we looked.
            return False
        self._left -= 1
        if not self._runs:
            self._told = None
        self.answered = False
        self.admitted.set()
        return self._gate.has(self)

    async def _difference(self, body: bytes, told: AgentRequest) -> str | None:
        if len(body) <= _LARGE:
            return _difference(body, told, self._runs)
        # What is large takes a while, which is not to be taken from others' answers.
        return await asyncio.to_thread(_difference, body, told, self._runs)

    def passes(self, piece: bytes) -> None:
        """Look at a piece of an answer before the CLI gets it: what it says may be done at once."""
        if self._runs and not self.call.had_effects:
            seen = self._tail + piece
            self.call.had_effects = _CALL in seen
            self._tail = seen[-len(_CALL) :]

    def fail(self, error: "HttpStatusError | ProviderError") -> None:
        """Say why a call failed; the first one counts."""
        if self.error is not None:
            return
        if isinstance(error, HttpStatusError):
            error = error_from_response(error.status, error.headers, error.body)
        self.error = error
        if self.on_failure is not None and not self.answered:
            self.on_failure()

    def shut(self) -> None:
        """Let no further call pass; the one that is being made goes on."""
        self._left = 0

    def close(self) -> None:
        """Let nothing pass any more, and end the call that is being made."""
        self.shut()
        self._gate.remove(self)
        if self.passing is not None:
            self.passing.cancel()


def _difference(body: bytes, told: AgentRequest, runs: bool) -> str | None:
    try:
        return difference(_decode(body), told, runs=runs)
    except (*UNREADABLE, msgspec.ValidationError):
        return "everything"


async def _body(receive: Receive, most: int) -> bytes | None:
    """Return the whole body of a call; None where it is too large. What is cut is not JSON."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > most:
            return None
    return bytes(body)


async def _left(receive: Receive) -> None:
    """Return when the connection is gone; its body must have been read."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(send: Send, status: int, body: bytes, kind: bytes = b"application/json") -> None:
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})

"""The real application with scripted providers and spans kept in memory: no socket, no process."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from policy.build import CapabilityTable, build
from policy.document import parse
from proxy.access import Access
from proxy.app import create_app
from proxy.call import Call
from proxy.config import Settings
from proxy.decision_log import DecisionLog
from proxy.engine import Engine
from proxy.generation import Generation, Generations
from proxy.health import Health
from proxy.http import HttpStatusError
from proxy.live_gates import LiveGates
from proxy.preparation import Preparation
from proxy.provider import ChatProvider, Provider
from proxy.service import Configuration, Service
from proxy.telemetry.content.capture import Capture
from proxy.telemetry.tracing.otel import OtelTelemetry
from proxy.ticker import Ticker
from translators.errors import ProviderError
from translators.openai_chat.errors import error_from_response
from translators.openai_chat.translator import OpenAIChatTranslator
from translators.protocol import HttpRequest
from translators.sse import ServerSentEvent

__all__ = [
    "HANG",
    "USAGE",
    "Answer",
    "Reply",
    "ScriptedProvider",
    "TracedApp",
    "chunk",
    "error_body",
    "span_id",
    "trace_id",
]

Json = dict[str, Any]

HANG = "hang"
USAGE = {
    "prompt_tokens": 10,
    "completion_tokens": 5,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}


def chunk(content: str | None = None, reason: str | None = None, **more: Any) -> Json:
    """Return a chunk of an upstream."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    return {"id": "chatcmpl-up", "model": "gpt-served", "choices": [choice], **more}


def span_id(span: ReadableSpan) -> str:
    """Return the span's id as headers have it."""
    assert span.context is not None
    return format(span.context.span_id, "016x")


def trace_id(span: ReadableSpan) -> str:
    """Return the id of the span's trace as headers have it."""
    assert span.context is not None
    return format(span.context.trace_id, "032x")


def error_body(message: str = "It failed.", **fields: Any) -> Json:
    return {"error": {"message": message, "type": "server_error", "code": None, **fields}}


@dataclass
class Answer:
    """What a scripted provider does for one call.

    Attributes:
        events: Of a stream; the whole answer is made of `text` instead.
        then: What follows the events: their end, an exception, or `HANG`.
    """

    status: int = 200
    body: Json | None = None
    text: str = "Hello"
    usage: Json | None = None
    events: Sequence[Json] | None = None
    then: Exception | str | None = None
    headers: Mapping[str, str] = field(default_factory=dict[str, str])


class _Events:
    def __init__(self, answer: Answer) -> None:
        default = [chunk("Hel"), chunk("lo"), chunk(reason="stop")]
        if answer.usage is not None:
            default.append({**chunk(), "choices": [], "usage": answer.usage})
        self._left = list(default if answer.events is None else answer.events)
        self._then = answer.then
        self.closed = False

    def __aiter__(self) -> "_Events":
        return self

    async def __anext__(self) -> Sequence[ServerSentEvent]:
        await asyncio.sleep(0)
        if self._left:
            return [ServerSentEvent(b"", json.dumps(self._left.pop(0)).encode())]
        if isinstance(self._then, Exception):
            raise self._then
        if self._then == HANG:
            await asyncio.Event().wait()
        raise StopAsyncIteration

    async def aclose(self, *, complete: bool) -> None:
        self.closed = True


class ScriptedProvider:
    """A transport that answers from a list; the last answer is used again and again."""

    def __init__(self, *answers: Answer) -> None:
        self._answers = list(answers)
        self.carriers: list[Mapping[str, str]] = []
        self.opened: list[_Events] = []

    def _next(self, call: Call) -> Answer:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        self.carriers.append(dict(call.carrier))
        if isinstance(answer.then, ProviderError) and answer.events is None:
            raise answer.then
        call.status, call.request_id = answer.status, answer.headers.get("x-request-id")
        if answer.status != 200:
            body = json.dumps(answer.body or error_body()).encode()
            raise HttpStatusError(answer.status, answer.headers, body)
        return answer

    async def send(self, request: HttpRequest, call: Call, /) -> bytes:
        answer = self._next(call)
        if answer.then == HANG:
            await asyncio.Event().wait()
        message = {"role": "assistant", "content": answer.text}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        body: Json = {"id": "chatcmpl-up", "model": "gpt-served", "choices": [choice]}
        return json.dumps({**body, "usage": answer.usage}).encode()

    async def open(self, request: HttpRequest, call: Call, /) -> _Events:
        self.opened.append(_Events(self._next(call)))
        return self.opened[-1]

    async def aclose(self) -> None:
        pass


def _map_error(error: Exception) -> ProviderError | None:
    if isinstance(error, HttpStatusError):
        return error_from_response(error.status, error.headers, error.body)
    return None


@dataclass
class Reply:
    """What a client of the application got."""

    status: int | None
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class TracedApp:
    """Serves the personas `one` (provider `first`) and `both` (`first`, then `second`).

    Args:
        first: The first provider's transport.
        second: The second one's.
        rows: By provider: keys of its row in the policy.
        keys: Client keys.
        live_gates: The key of the policy; the gates' clock stands still.
        tracing: The key of the policy.
        parameters: Of the persona `one`.
        capture: Captures content.
    """

    def __init__(
        self,
        first: ScriptedProvider,
        second: ScriptedProvider | None = None,
        *,
        rows: Mapping[str, Json] | None = None,
        keys: Sequence[str] = (),
        live_gates: Json | None = None,
        tracing: Json | None = None,
        parameters: Json | None = None,
        capture: Capture | None = None,
    ) -> None:
        scripted = {"first": first, "second": second or ScriptedProvider(Answer())}
        made = {
            name: {
                "dialect": "openai_chat",
                "base_url": f"http://{name}.test:8441/v1",
                "model": f"gpt-{name}",
                "capabilities": ["system_prompts", "streaming", "tool_calling", "reasoning"],
                **(rows or {}).get(name, {}),
            }
            for name in scripted
        }
        personas = {
            "one": {"provider_preferences": ["first"], "parameters": parameters or {}},
            "both": {"provider_preferences": ["first", "second"]},
        }
        written: Json = {"providers": made, "personas": personas}
        written |= {} if live_gates is None else {"live_gates": live_gates}
        written |= {} if tracing is None else {"tracing": tracing}
        document = parse(json.dumps(written), "test.yaml")
        policy = build(
            document, capabilities=CapabilityTable(providers={}, dialects={}), read_prompt=str
        )
        providers: dict[str, ChatProvider] = {
            name: Provider(OpenAIChatTranslator(), transport, _map_error)
            for name, transport in scripted.items()
        }
        self.now = 0.0
        gates = LiveGates(policy, lambda: self.now)
        engine = Engine(
            policy,
            dict.fromkeys(providers),
            Preparation(policy, providers),
            gates=gates if policy.live_gates.enabled else None,
        )
        self.exporter = InMemorySpanExporter()
        exporting = TracerProvider(shutdown_on_exit=False)
        exporting.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.log: list[bytes] = []
        self.service = Service(
            settings=Settings(heartbeat=0),
            generations=Generations(Generation(engine, Access(keys, ()), Health(engine))),
            telemetry=OtelTelemetry(exporting, "0", capture),
            decisions=DecisionLog(self.log.append),
            created=0,
            ticker=Ticker(),
        )
        self.live_gates = gates
        self._app = create_app(Configuration(self.service.settings, policy, {}))

    async def ask(
        self,
        persona: str = "one",
        *,
        stream: bool = False,
        headers: Mapping[str, str] | None = None,
        leave_after: int | None = None,
        raw: bytes | None = None,
        path: str = "/v1/chat/completions",
        method: str = "POST",
        **fields: Any,
    ) -> Reply:
        """Send a request; leave after some parts of the answer, or with 0 before the first."""
        messages = [{"role": "user", "content": "Hi"}]
        body = {"model": persona, "messages": messages, "stream": stream, **fields}
        sent = {"host": "proxy.test", "content-type": "application/json", **(headers or {})}
        gone = asyncio.Event()
        asked = raw if raw is not None else json.dumps(body).encode()
        waiting = [{"type": "http.request", "body": asked, "more_body": False}]
        got: list[Mapping[str, Any]] = []

        async def receive() -> Mapping[str, Any]:
            if waiting:
                if leave_after == 0:
                    asyncio.get_running_loop().call_later(0.02, gone.set)
                return waiting.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Mapping[str, Any]) -> None:
            got.append(message)
            bodies = sum(m["type"] == "http.response.body" for m in got)
            if leave_after and bodies == leave_after:
                gone.set()
                await asyncio.sleep(0.02)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                gone.set()

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "http_version": "1.1",
            "client": ("10.1.2.3", 5),
            "server": ("proxy.test", 8080),
            "headers": [(n.encode(), v.encode("latin-1")) for n, v in sent.items()],
            "state": {"service": self.service},
        }
        await self._app(scope, cast("Any", receive), cast("Any", send))
        start = next((m for m in got if m["type"] == "http.response.start"), None)
        known = {n.decode(): v.decode() for n, v in start["headers"]} if start else {}
        data = b"".join(m.get("body", b"") for m in got)
        return Reply(start["status"] if start else None, known, data)

    @property
    def spans(self) -> list[ReadableSpan]:
        """Every finished span, by start."""
        return sorted(self.exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    @property
    def server(self) -> ReadableSpan:
        """The one SERVER span."""
        (span,) = [span for span in self.spans if span.kind is SpanKind.SERVER]
        return span

    @property
    def routes(self) -> list[ReadableSpan]:
        """The spans of decisions."""
        return [span for span in self.spans if span.name.startswith("route ")]

    @property
    def attempts(self) -> list[ReadableSpan]:
        """The CLIENT spans."""
        return [span for span in self.spans if span.kind is SpanKind.CLIENT]

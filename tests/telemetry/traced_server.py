"""A server process whose every request is traced: what it serves, who asks it, what it exported."""

import json
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import httpx

from tests.http.wire import Connection, head
from tests.providers import standard_policy
from tests.serving import Proxy, SandboxProcess
from tests.telemetry.backends.backend import OtlpProtocol, TraceBackend, whole_trace
from tests.telemetry.backends.spans import TracedSpan, assert_nested, render
from tests.telemetry.caller import CANARY, CHAT, Caller

__all__ = [
    "CANARIES",
    "CLIENT_KEY",
    "LOOK",
    "PROVIDER_KEY",
    "SERVER",
    "SHARED",
    "SYSTEM_PROMPT",
    "TracedServer",
    "line_of",
    "ours",
    "serving",
    "traced_policy",
]

Json = dict[str, Any]

SERVER: Final = f"POST {CHAT}"

CLIENT_KEY: Final = "canary-client-key-7d20"
PROVIDER_KEY: Final = "canary-provider-key-16ce"
SYSTEM_PROMPT: Final = "You are canary-system-b8a4, a persona of the tests."

CANARIES: Final = {
    "client key": CLIENT_KEY,
    "provider key": PROVIDER_KEY,
    "system prompt": "canary-system-b8a4",
    "prompt": "canary-prompt-52f9",
    "answer": "canary-answer-0e61",
    "arguments": "canary-arguments-c37d",
    "description": "canary-description-a915",
    "query string": "canary-query-f04b",
    "refusal": "canary-refusal-68da",
    "headers": CANARY,
}
"""What each request of these tests holds, or each provider says; no collector may be told."""

LOOK: Final[Json] = {
    "type": "function",
    "function": {
        "name": "look",
        "description": CANARIES["description"],
        "parameters": {
            "type": "object",
            "properties": {"at": {"type": "string"}},
            "required": ["at"],
        },
    },
}


def traced_policy(sandbox: SandboxProcess, *, scripted: int = 9, dead: int = 9) -> Json:
    """Return the tests' usual policy, and a persona for each outcome that it has none for."""
    policy = standard_policy(sandbox, scripted=scripted, dead=dead)
    rows, personas = policy["providers"], policy["personas"]
    openai = rows["openai"]
    rows["no_tools"] = {**openai, "model": "gpt-4.1-mini", "capabilities": ["streaming"]}
    rows["no_tools"]["capabilities"] = ["system_prompts", "streaming"]
    rows["gemini"] = {
        **openai,
        "dialect": "gemini_generate",
        "base_url": f"{sandbox.url}/gemini",
        "model": "gemini-3.6-flash",
    }
    rows["responses"] = {**openai, "dialect": "openai_responses"}
    chains = {
        "routed": ["no_tools", "openai"],
        "incapable": ["no_tools"],
        "two_incapable": ["no_tools", "no_tools_either"],
        "gemini_only": ["gemini"],
        "responses_only": ["responses"],
        "cached": ["openai"],
    }
    rows["no_tools_either"] = rows["no_tools"]
    personas |= {name: {"provider_preferences": chain} for name, chain in chains.items()}
    personas["cached"]["cache"] = {"ttl": 300}
    for persona in personas.values():
        persona["system_prompt"] = SYSTEM_PROMPT
    return policy


def line_of(span: TracedSpan) -> str:
    """Return what the trees of these tests say of a span."""
    told = (span.attributes.get(name) for name in ("error.type", "ep.stream.end_reason"))
    return " ".join([span.name, span.kind, span.status, *filter(None, told)])


class TracedServer:
    """The server and where its spans go; remembers each tree that was looked at."""

    def __init__(self, proxy: Proxy, sandbox: SandboxProcess, backend: TraceBackend) -> None:
        self.proxy, self.sandbox, self.backend = proxy, sandbox, backend
        self.trees: dict[str, tuple[str, str]] = {}

    def body(self, caller: Caller, persona: str, text: str, **fields: Any) -> Json:
        """Return a request that holds what must not be exported."""
        said = f"{CANARIES['prompt']} {text} {caller.trace}"
        return {"model": persona, "messages": [{"role": "user", "content": said}], **fields}

    def ask(
        self,
        caller: Caller,
        body: Json | bytes,
        *,
        path: str = CHAT,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        """Ask, and read the answer to its end."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        with httpx.Client(trust_env=False, timeout=60) as client:
            return client.post(
                f"{self.proxy.url}{path}?of={CANARIES['query string']}",
                content=content,
                headers={**_headers(caller), **(headers or {})},
            )

    async def connect(self, caller: Caller, body: Json) -> Connection:
        """Ask over a connection of one's own, that can be left."""
        connection = await Connection.open(self.proxy)
        data = json.dumps(body).encode()
        await connection.send(head(length=len(data), headers=_headers(caller)) + data)
        return connection

    def open_requests(self) -> int:
        """Return how many requests the providers are answering."""
        stats = httpx.get(f"{self.sandbox.url}/_sandbox/stats", trust_env=False).json()
        return sum(dialect["open"] for dialect in stats["dialects"].values())

    def spans(self, caller: Caller, count: int = 1) -> list[TracedSpan]:
        """Return the spans of a caller's request, when it is over and there are as many."""
        found = whole_trace(self.backend, caller.trace, also=lambda spans: len(spans) >= count)
        return found

    def tree(self, caller: Caller, spans: Sequence[TracedSpan]) -> str:
        """Return the tree below the caller's span, as text; checks what holds for every tree.

        Spans of other processes than ours are not in it: they come when they like.
        """
        own = ours(spans)
        assert_nested(own)
        for span in own:
            assert_in_order(span)
        tree = render(own, parent=caller.span, tell=line_of)
        self.trees[caller.trace] = (caller.span, tree)
        told = self.backend.told(caller.trace)
        for what, canary in CANARIES.items():
            assert canary.encode() not in told, f"the {what} was exported"
        return tree

    def settle(self) -> None:
        """Stop the server: nothing may be left to export that was not there before."""
        self.proxy.stop(seconds=30)
        for trace, (parent, tree) in self.trees.items():
            spans = ours(whole_trace(self.backend, trace))
            assert render(spans, parent=parent, tell=line_of) == tree


def ours(spans: Sequence[TracedSpan]) -> list[TracedSpan]:
    """Return the spans of our own process: an agent's reports by itself."""
    return [span for span in spans if span.resource["service.name"] == "execution-platform"]


def _headers(caller: Caller) -> dict[str, str]:
    return {
        **caller.headers,
        "authorization": f"Bearer {CLIENT_KEY}",
        "content-type": "application/json",
    }


SHARED: Final = {
    *("server.address", "server.port", "http.response.status_code", "error.type"),
    "ep.stream.end_reason",
}
"""What may stand on a request's span and on an attempt's: it means another thing on each."""


def assert_in_order(span: TracedSpan) -> None:
    """Check what holds for each span of ours, whatever became of the request."""
    assert span.status in ("UNSET", "ERROR")
    assert span.status_message == ""
    assert ("error.type" in span.attributes) == (span.status == "ERROR"), span
    asks = span.kind == "CLIENT" or span.name.startswith("execute_tool ")
    named = [name for name in span.attributes if name.startswith("gen_ai.")]
    assert bool(named) == asks, span
    assert None not in span.attributes.values()
    assert not [event for event in span.events if event.name == "exception"]
    if span.kind == "CLIENT":
        assert "ep.stream.end_reason" in span.attributes, "an attempt that nobody ended"


@contextmanager
def serving(
    sandbox: SandboxProcess,
    backend: TraceBackend,
    protocol: OtlpProtocol,
    *,
    policy: Json | None = None,
    env: Mapping[str, str] | None = None,
    arguments: Sequence[str] = (),
) -> Generator[TracedServer]:
    """Run a server that exports to a back end; at the end nothing may come after."""
    given = {
        "UPSTREAM_KEY": PROVIDER_KEY,
        "EP_CLIENT_KEYS": CLIENT_KEY,
        **backend.environment_for(protocol),
        **(env or {}),
    }
    with Proxy(*arguments, env=given, policy=policy or traced_policy(sandbox)) as proxy:
        server = TracedServer(proxy, sandbox, backend)
        yield server
        server.settle()

"""A request that is over is gone: nothing of it waits for the collector of cycles.

The server serves in this process, where its objects can be looked at, over real sockets and before
real providers' stand-ins.
"""

import asyncio
import gc
import json
import socket
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from types import FrameType, SimpleNamespace
from typing import Any, Final, cast

import pytest
import uvicorn

from proxy.app import create_app
from proxy.connection import Connection as ServerConnection
from proxy.service import load_configuration
from tests.http.wire import Connection, body_of
from tests.providers import UPSTREAM_KEY, closed_port, standard_policy
from tests.serving import ROOT, Proxy, SandboxProcess
from tests.telemetry.otlp_sink import OtlpSink

OURS: Final = ("proxy.", "policy.", "translators.")
FOLDERS: Final = tuple(str(ROOT / name.rstrip(".")) for name in OURS)


Variables = dict[str, str]


@pytest.fixture(params=["untraced", "traced"])
def given(
    request: pytest.FixtureRequest,
    providers: SandboxProcess,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Generator[Variables]:
    """The variables of a server, without and with spans that go to a collector."""
    monkeypatch.setenv("UPSTREAM_KEY", UPSTREAM_KEY)
    file = tmp_path / "policy.yaml"
    file.write_text(json.dumps(standard_policy(providers, dead=closed_port())))
    found = {"EP_POLICY": str(file), "EP_POLICY_RELOAD": "0", "EP_LOG_LEVEL": "error"}
    if request.param == "untraced":
        yield found
        return
    with OtlpSink() as sink:
        yield {**found, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.url}
        # Or this has shown nothing of tracing.
        assert sink.spans


@asynccontextmanager
async def _served(given: Variables) -> AsyncGenerator[Proxy]:
    """Serve in this process; `port` is all there is of the server."""
    config = uvicorn.Config(
        create_app(load_configuration(given)),
        http=ServerConnection,
        ws="none",
        lifespan="on",
        log_config=None,
    )
    config.load()
    server = uvicorn.Server(config)
    server.lifespan = config.lifespan_class(config)
    listener = socket.create_server(("127.0.0.1", 0))
    await server.startup(sockets=[listener])
    try:
        yield cast("Proxy", SimpleNamespace(port=listener.getsockname()[1]))
    finally:
        await server.shutdown(sockets=[listener])


def _of_ours(what: Any) -> bool:
    if isinstance(what, FrameType):
        return what.f_code.co_filename.startswith(FOLDERS)
    return type(what).__module__.startswith(OURS)


async def _left_behind(given: Variables, body: dict[str, Any], until: bytes) -> list[Any]:
    """Ask, and leave at a mark in the answer; return what of ours only the collector would find."""
    async with _served(given) as server:

        async def ask() -> None:
            async with await Connection.ask(server, body) as client:
                if until:
                    await client.until(until)
                else:
                    await asyncio.sleep(0.2)
            # Whatever the server still does about it.
            await asyncio.sleep(0.3)

        # What is made once, and stays or is thrown away then, is nobody's leak.
        await ask()
        gc.collect()
        gc.disable()
        try:
            await ask()
            gc.set_debug(gc.DEBUG_SAVEALL)
            gc.collect()
            return [found for found in gc.garbage if _of_ours(found)]
        finally:
            gc.set_debug(0)
            gc.garbage.clear()
            gc.enable()


ENDS: Final[dict[str, tuple[str, bytes]]] = {
    # The text for the sandbox, and what of the answer is waited for before the client leaves.
    "answered": ("", b'"finish_reason":"stop"'),
    "refused by the provider": ("[sandbox fail=400]", b'"error"'),
    "refused by all": ("[sandbox fail=500]", b'"error"'),
    "answered by the second": ("[sandbox provider=openai fail=500]", b'"finish_reason":"stop"'),
    "no JSON": ("[sandbox garbage=1]", b"HTTP/1.1"),
}


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("end", ENDS)
async def test_a_request_leaves_nothing_for_the_collector(
    given: Variables, end: str, stream: bool
) -> None:
    text, until = ENDS[end]
    body = body_of("openai_first", f"{text} Hi", stream=stream)
    assert await _left_behind(given, body, until) == []


@pytest.mark.parametrize(
    ("persona", "until"), [("dead_first", b'"finish_reason":"stop"'), ("dead_only", b'"error"')]
)
async def test_a_provider_that_cannot_be_reached_leaves_nothing(
    given: Variables, persona: str, until: bytes
) -> None:
    assert await _left_behind(given, body_of(persona), until) == []


@pytest.mark.parametrize(
    "wrong",
    [{"temperature": "hot"}, {"model": "nobody"}, {"messages": []}, {"audio": {"voice": "x"}}],
    ids=lambda wrong: next(iter(wrong)),
)
async def test_a_request_that_is_refused_leaves_nothing(
    given: Variables, wrong: dict[str, Any]
) -> None:
    assert await _left_behind(given, {**body_of("openai_first"), **wrong}, b'"error"') == []


async def test_a_candidate_that_lacks_something_leaves_nothing(given: Variables) -> None:
    """The first candidate's API cannot express it, the second's can."""
    body = body_of("anthropic_first", logit_bias={"50256": -100}, logprobs=True)
    assert await _left_behind(given, body, b'"finish_reason":"stop"') == []


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("[sandbox stall=6 words=40]", b"the proxy"),
        ("[sandbox cut=6 words=40]", b'"error"'),
        ("[sandbox delay=30]", b""),
    ],
    ids=["left in mid-stream", "broken off", "left before it began"],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_an_answer_without_its_end_leaves_nothing(
    given: Variables, text: str, until: bytes, stream: bool
) -> None:
    body = body_of("openai_only", text, stream=stream)
    # A whole answer that does not come tells nothing before: the client leaves after a while.
    assert await _left_behind(given, body, until if stream or "cut" in text else b"") == []

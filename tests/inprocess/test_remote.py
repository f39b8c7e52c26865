"""The same clients before a running proxy: the same answers, the same errors."""

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from execution_platform.exceptions import (
    AccessDenied,
    ConfigurationError,
    ExecutionPlatformError,
    InvalidRequest,
    NoProvider,
    ProviderError,
    RouterError,
    StreamTruncated,
    TimeoutError,
    UnknownPersona,
)
from execution_platform.router import PersonaRouter
from execution_platform.spi import ChatRequest, LLMClient, Message, ToolDefinition

from tests.inprocess.sandboxed import Upstream, ask, pieces, run, text_of
from tests.providers import UPSTREAM_KEY, closed_port, standard_policy
from tests.serving import Proxy, SandboxProcess

BOTH = pytest.mark.parametrize("dialect", ["openai", "anthropic"])
STREAMED = pytest.mark.parametrize("streamed", [True, False])

KEY = "ep-remote-5b11"


async def asked(client: LLMClient, request: ChatRequest, *, streamed: bool) -> Any:
    return await pieces(client, request) if streamed else await client.chat(request)


@pytest.mark.parametrize("suffix", ["", "/", "/v1", "/v1/"])
def test_the_address_is_taken_with_or_without_its_version(proxy: Proxy, suffix: str) -> None:
    async def main() -> str:
        async with PersonaRouter(base_url=proxy.url + suffix) as router:
            return await text_of(router.get_client("openai_only"), ask("Hi [sandbox say=ok]"))

    assert run(main) == "ok"


@BOTH
def test_the_answers_are_the_same_as_in_the_process(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    requests = [
        ask("Hello there", max_tokens=300, system="Be kind.", seed=3),
        ask("Look [sandbox tools=2]", tools=[ToolDefinition("look"), ToolDefinition("see")]),
        ChatRequest([Message("user", "Review"), Message("assistant", "a draft")]),
        ask("Hi [sandbox refuse]"),
        ask("Hi", n=2),
    ]

    async def main() -> None:
        local = upstream.router().get_client(f"{dialect}_only")
        remote = PersonaRouter(base_url=proxy.url).get_client(f"{dialect}_only")
        for request in requests:
            whole, there = await local.chat(request), await remote.chat(request)
            for one, other in zip(whole.choices, there.choices, strict=True):
                assert one.message.content == other.message.content
                assert one.message.refusal == other.message.refusal
                names = [call.name for call in one.message.tool_calls or ()]
                assert names == [call.name for call in other.message.tool_calls or ()]
                assert one.finish_reason == other.finish_reason
            assert (whole.usage, whole.model) == (there.usage, there.model)
            assert whole.served.report == there.served.report
            for name in ("persona", "provider", "attempts"):
                assert getattr(whole.served, name) == getattr(there.served, name), name

            here, far = await pieces(local, request), await pieces(remote, request)
            assert texts(here) == texts(far)
            assert [c.usage for c in here if c.usage] == [c.usage for c in far if c.usage]

    run(main)


def texts(chunks: list[Any]) -> dict[int, str]:
    found: dict[int, str] = {}
    for chunk in chunks:
        found[chunk.index] = found.get(chunk.index, "") + (chunk.delta_text or "")
    return found


async def same_failure(
    proxy: Proxy, upstream: Upstream, persona: str, request: ChatRequest, *, streamed: bool
) -> ExecutionPlatformError:
    """Return the error that a proxy gives, after comparing it with the one of the process."""
    found: list[ExecutionPlatformError] = []
    for router in (upstream.router(), PersonaRouter(base_url=proxy.url)):
        with pytest.raises(ExecutionPlatformError) as caught:
            await asked(router.get_client(persona), request, streamed=streamed)
        found.append(caught.value)
    local, remote = found
    assert type(local) is type(remote)
    for name in ("code", "type", "param", "status_hint", "retry_after", "provider", "phase"):
        assert getattr(local, name, None) == getattr(remote, name, None), name
    assert getattr(local, "seconds", None) == getattr(remote, "seconds", None)
    assert vars(remote)["request_id"]
    assert vars(remote)["status"] == remote.status_hint
    return remote


@STREAMED
@pytest.mark.parametrize(
    ("persona", "text", "kind"),
    [
        ("openai_only", "Hi [sandbox fail=400]", "invalid"),
        ("openai_only", "Hi [sandbox fail=401]", "auth"),
        ("openai_only", "Hi [sandbox fail=404]", "not_found"),
        ("openai_only", "Hi [sandbox fail=429 retry_after=77]", "rate_limit"),
        ("openai_only", "Hi [sandbox fail=quota]", "quota"),
        ("openai_only", "Hi [sandbox fail=context]", "invalid"),
        ("anthropic_only", "Hi [sandbox fail=529 retry_after=90]", "overloaded"),
        ("anthropic_only", "Hi [sandbox fail=413]", "too_large"),
        # The wire does not tell a broken connection from a broken provider.
        ("dead_only", "Hi", "server"),
    ],
)
def test_the_errors_are_the_same_as_in_the_process(
    proxy: Proxy, upstream: Upstream, persona: str, text: str, kind: str, streamed: bool
) -> None:
    async def main() -> None:
        error = await same_failure(proxy, upstream, persona, ask(text), streamed=streamed)
        assert isinstance(error, ProviderError)
        assert error.kind == kind

    run(main)


@pytest.mark.parametrize(
    ("persona", "streamed"), [("short_openai_only", True), ("total_openai_only", False)]
)
def test_a_provider_that_is_silent_is_the_same_timeout(
    proxy: Proxy, upstream: Upstream, persona: str, streamed: bool
) -> None:
    async def main() -> None:
        request = ask("Hi [sandbox delay=30]")
        error = await same_failure(proxy, upstream, persona, request, streamed=streamed)
        assert isinstance(error, TimeoutError)
        assert error.seconds < 1
        assert error.phase == ("first_token" if streamed else "total")

    run(main)


@BOTH
@pytest.mark.parametrize("fault", ["cut=9", "eof=9", "error=9"])
def test_a_stream_that_breaks_behind_the_proxy_raises(
    proxy: Proxy, dialect: str, fault: str
) -> None:
    async def main() -> None:
        client = PersonaRouter(base_url=proxy.url).get_client(f"{dialect}_only")
        seen: list[str] = []
        with pytest.raises(ProviderError) as caught:
            async for chunk in client.chat(ask(f"Hi [sandbox words=60 {fault}]")):
                assert chunk.finish_reason is None
                seen.append(chunk.delta_text or "")
        assert "".join(seen)
        assert caught.value.provider == dialect
        assert caught.value.request_id
        assert isinstance(caught.value, StreamTruncated) == fault.startswith("eof")

    run(main)


def test_an_unknown_persona_is_told_with_the_first_chat(proxy: Proxy) -> None:
    router = PersonaRouter(base_url=proxy.url)
    client = router.get_client("openai_frist")
    with pytest.raises(UnknownPersona, match="Did you mean `openai_first`") as caught:
        client.chat_sync(ask("Hi"))
    assert isinstance(caught.value, ValueError)
    assert "No provider satisfies requirements for persona" in str(caught.value)
    with pytest.raises(UnknownPersona, match="No provider satisfies requirements for persona"):
        router.select_provider("openai_frist")
    with pytest.raises(UnknownPersona):
        router.select_provider("../../healthz")
    router.close()


def test_select_provider_asks_the_proxy_and_no_provider(proxy: Proxy, upstream: Upstream) -> None:
    with PersonaRouter(base_url=proxy.url) as router:
        before = upstream.tally("openai"), upstream.tally("anthropic")
        assert router.select_provider("openai_first") == "openai"
        assert router.select_provider("anthropic_first") == "anthropic"
        assert (upstream.tally("openai"), upstream.tally("anthropic")) == before


@BOTH
def test_leaving_lets_go_of_the_provider_behind_the_proxy(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    before = upstream.tally(dialect)["aborted_by_client"]

    async def first(client: LLMClient) -> None:
        async for _ in client.chat(ask("Hi [sandbox words=400 chunks=400 gap=0.05]")):
            return

    async def main() -> None:
        client = PersonaRouter(base_url=proxy.url).get_client(f"{dialect}_only")
        await first(client)
        await upstream.until(dialect, aborted_by_client=before + 1)
        task = asyncio.create_task(text_of(client, ask("Hi [sandbox delay=30]")))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await upstream.until(dialect, aborted_by_client=before + 2)

    run(main)


def test_many_at_once(proxy: Proxy) -> None:
    async def one(client: LLMClient, number: int) -> str:
        return await text_of(client, ask(f'Hi [sandbox say="number {number}"]'))

    async def main() -> list[str]:
        client = PersonaRouter(base_url=proxy.url).get_client("openai_only")
        return await asyncio.gather(*(one(client, number) for number in range(200)))

    assert run(main) == [f"number {number}" for number in range(200)]


@pytest.fixture(scope="module")
def guarded(providers: SandboxProcess) -> Iterator[Proxy]:
    policy = standard_policy(providers)
    limited = hashlib.sha256(b"ep-limited").hexdigest()
    policy["client_keys"] = [{"name": "ci", "sha256": limited, "personas": ["openai_only"]}]
    policy["providers"]["keyless"] = {**policy["providers"]["openai"], "api_key_env": "NO_SUCH_KEY"}
    policy["personas"]["keyless_only"] = {"provider_preferences": ["keyless"]}
    with Proxy(env={"EP_CLIENT_KEYS": KEY, "UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as server:
        yield server


@STREAMED
def test_keys_and_what_they_may(
    guarded: Proxy, streamed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refused(persona: str, key: str | None) -> AccessDenied:
        client = PersonaRouter(base_url=guarded.url, api_key=key).get_client(persona)
        with pytest.raises(AccessDenied) as caught:
            await asked(client, ask("Hi"), streamed=streamed)
        assert (key or "anything") not in str(caught.value)
        return caught.value

    async def main() -> None:
        assert (await refused("openai_only", None)).code == "invalid_api_key"
        assert (await refused("openai_only", "wrong")).status_hint == 401
        denied = await refused("anthropic_only", "ep-limited")
        assert (denied.status_hint, denied.code) == (403, "model_not_allowed")
        router = PersonaRouter(base_url=guarded.url, api_key=KEY)
        assert await asked(router.get_client("openai_only"), ask("Hi"), streamed=streamed)
        with pytest.raises(NoProvider, match="NO_SUCH_KEY") as caught:
            await asked(router.get_client("keyless_only"), ask("Hi"), streamed=streamed)
        assert caught.value.status_hint == 503
        monkeypatch.setenv("EP_API_KEY", KEY)
        by_variable = PersonaRouter(base_url=guarded.url).get_client("openai_only")
        assert await asked(by_variable, ask("Hi"), streamed=streamed)

    run(main)


@STREAMED
def test_what_would_be_ignored_is_refused_where_the_request_is_strict(
    proxy: Proxy, streamed: bool
) -> None:
    async def main() -> None:
        client = PersonaRouter(base_url=proxy.url).get_client("anthropic_only")
        with pytest.raises(RouterError) as caught:
            await asked(client, ask("Hi", seed=1, strict=True), streamed=streamed)
        assert (caught.value.param, caught.value.status_hint) == ("seed", 400)

    run(main)


def test_a_model_of_ones_own_is_for_the_process_itself(proxy: Proxy) -> None:
    async def main() -> None:
        client = PersonaRouter(base_url=proxy.url).get_client("openai_only")
        with pytest.raises(InvalidRequest, match="in the proxy's policy") as caught:
            await client.chat(ask("Hi", model="gpt-4.1"))
        assert caught.value.param == "model"

    run(main)


@STREAMED
def test_nobody_listens(streamed: bool) -> None:
    async def main() -> None:
        url = f"http://127.0.0.1:{closed_port()}"
        client = PersonaRouter(base_url=url).get_client("architect")
        with pytest.raises(ProviderError, match="Is it running") as caught:
            await asked(client, ask("Hi"), streamed=streamed)
        assert url in str(caught.value)
        assert (caught.value.kind, caught.value.status) == ("network", 502)

    run(main)


@asynccontextmanager
async def answering(answer: bytes, *, silent: bool = False) -> AsyncGenerator[str]:
    """Serve one canned answer to one connection; `silent`: and wait until the client leaves."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        if silent:
            await reader.read()
        writer.close()
        served.set()

    served = asyncio.Event()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        await asyncio.wait_for(served.wait(), 10)


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
CHUNK = (
    b'data: {"id":"1","model":"m","choices":[{"index":0,"delta":{"content":"so"},'
    b'"finish_reason":null}]}\n\n'
)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (HEAD + CHUNK, StreamTruncated),
        (HEAD + CHUNK + b'data: {"error": 3}\n\n', StreamTruncated),
        (b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\nsorry", ProviderError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", ProviderError),
        (b"what is this\r\n\r\n", ProviderError),
    ],
)
def test_what_is_no_answer_of_a_proxy_is_an_error(
    answer: bytes, error: type[ProviderError]
) -> None:
    async def main() -> None:
        async with answering(answer) as url:
            with pytest.raises(error):
                await pieces(PersonaRouter(base_url=url).get_client("architect"), ask("Hi"))

    run(main)


@STREAMED
@pytest.mark.parametrize("answer", [b"", HEAD + CHUNK])
def test_a_proxy_that_is_silent_is_given_up(answer: bytes, streamed: bool) -> None:
    async def main() -> None:
        async with answering(answer, silent=True) as url:
            client = PersonaRouter(base_url=url, timeout=0.4).get_client("architect")
            with pytest.raises(TimeoutError):
                await asked(client, ask("Hi"), streamed=streamed)

    run(main)


@pytest.mark.parametrize(
    "options",
    [
        {"base_url": "localhost:8080"},
        {"base_url": "ftp://localhost"},
        {"base_url": "http://"},
        {"base_url": "http://a b"},
        {"base_url": "http://localhost:8080/v1?key=1"},
        {"base_url": "http://[::1"},
        {"base_url": "http://user:secret@localhost"},
        {"base_url": "http://localhost", "api_key": "a\nb"},
        {"base_url": "http://localhost", "sandbox": True},
        {"base_url": "http://localhost", "policy": "policy.yaml"},
        {"base_url": "http://localhost", "timeout": 0},
        {"api_key": "a key"},
        {"timeout": -1},
    ],
    ids=json.dumps,
)
@pytest.mark.usefixtures("sandbox")
def test_options_that_are_wrong_are_refused_at_once(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        PersonaRouter(**options)
    assert "a\nb" not in str(caught.value)
    assert "secret" not in str(caught.value)

"""Models' limits and abilities: asked for beside the requests, believed for some hours."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest
from anthropic import AsyncAnthropic
from anthropic.types import ModelInfo

from policy.schema import ProviderRow
from proxy.discovery import MOST, MOST_QUESTIONS, RETRY, TTL, Discovery, asked_model, listed_models
from proxy.http import HttpClient, HttpStatusError, HttpTransport
from proxy.providers.over_http import http_transport
from proxy.sandbox.app import journal_of
from proxy.sandbox.server import SandboxServer
from proxy.ticker import Ticker
from tests.proxy.clouds_rows import provider, said
from translators.anthropic_messages.models import profile_from_info, profile_of
from translators.errors import ProviderError

MODEL = "claude-opus-5-5"
INFO: dict[str, Any] = {"max_tokens": 7777, "max_input_tokens": 99, "capabilities": {}}


class Api:
    """What answers, how often it was asked, and a clock that a test moves."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.fault: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.info: Mapping[str, Any] = INFO
        self.now = 0.0
        self.discovery = Discovery(self, clock=lambda: self.now)

    async def __call__(self, model: str) -> Mapping[str, Any]:
        self.asked.append(model)
        if self.gate is not None:
            await self.gate.wait()
        if self.fault is not None:
            raise self.fault
        return self.info

    def limit(self, model: str = MODEL) -> int:
        return self.discovery.profile(model).max_tokens


@pytest.fixture
async def api() -> AsyncIterator[Api]:
    found = Api()
    yield found
    await found.discovery.aclose()


async def settled() -> None:
    """Let all tasks go on that wait for nothing outside."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_table_serves_until_the_answer_is_there(api: Api) -> None:
    api.gate = asyncio.Event()
    assert api.limit() == profile_of(MODEL).max_tokens
    await settled()
    assert api.limit() == profile_of(MODEL).max_tokens
    assert api.asked == [MODEL]
    api.gate.set()
    await settled()
    assert api.discovery.profile(MODEL) == profile_from_info(MODEL, INFO)
    assert api.limit() == 7777


async def test_an_answer_is_believed_for_some_hours(api: Api) -> None:
    api.limit()
    await settled()
    api.now = TTL - 1
    api.limit()
    await settled()
    assert len(api.asked) == 1
    api.now, api.info = TTL, {"max_tokens": 8888}
    # What is old serves until the new answer is there.
    assert api.limit() == 7777
    await settled()
    assert api.limit() == 8888
    assert len(api.asked) == 2


@pytest.mark.parametrize(
    "fault", [ProviderError("x", kind="network"), HttpStatusError(404, {}, b"")], ids=type
)
async def test_an_api_that_says_nothing(api: Api, fault: Exception) -> None:
    api.fault = fault
    api.limit()
    await settled()
    assert api.limit() == profile_of(MODEL).max_tokens
    await settled()
    assert len(api.asked) == 1
    api.now, api.fault = RETRY, None
    api.limit()
    await settled()
    assert api.limit() == 7777


async def test_what_was_known_outlives_a_failure(api: Api) -> None:
    api.limit()
    await settled()
    api.now, api.fault = TTL, ProviderError("x", kind="network")
    api.limit()
    await settled()
    assert api.limit() == 7777


async def test_models_that_clients_make_up_fill_nothing(api: Api) -> None:
    for number in range(MOST + 50):
        api.limit(f"claude-{number}")
        await settled()
    assert len(api.asked) == MOST + 50
    # The latest are remembered, the first are not.
    api.limit(f"claude-{MOST + 49}")
    await settled()
    assert len(api.asked) == MOST + 50
    api.limit("claude-0")
    await settled()
    assert len(api.asked) == MOST + 51


async def test_a_few_questions_at_a_time(api: Api) -> None:
    api.gate = asyncio.Event()
    for number in range(3 * MOST_QUESTIONS):
        api.limit(f"claude-{number}")
    await settled()
    assert len(api.asked) == MOST_QUESTIONS


async def test_closing_leaves_the_open_questions(api: Api) -> None:
    api.gate = asyncio.Event()
    api.limit()
    await settled()
    async with asyncio.timeout(5):
        await api.discovery.aclose()
    assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("discover")]


def a_row(url: str, **more: Any) -> ProviderRow:
    fields = {"dialect": "anthropic_messages", "base_url": url, "model": MODEL}
    return ProviderRow.model_validate({**fields, **more})


@pytest.fixture
async def sandbox() -> AsyncIterator[SandboxServer]:
    async with SandboxServer() as server:
        yield server


@pytest.fixture
async def transport(sandbox: SandboxServer) -> AsyncIterator[HttpTransport]:
    ticker = Ticker()
    client = HttpClient(ticker)
    row = a_row(sandbox.anthropic_base_url)
    yield http_transport(row, client=client, credentials={"x-api-key": "k"})
    await client.aclose()
    ticker.close()


def questions(sandbox: SandboxServer) -> list[str]:
    found = journal_of(sandbox.app).requests
    return [entry["path"] for entry in found if entry["method"] == "GET"]


async def test_a_provider_asks_beside_its_first_request(sandbox: SandboxServer) -> None:
    async with provider(a_row(sandbox.anthropic_base_url), "k") as anthropic:
        assert questions(sandbox) == []
        for _ in range(3):
            await said(anthropic, MODEL, stream=True)
        async with asyncio.timeout(10):
            while not questions(sandbox):  # noqa: ASYNC110  the sandbox tells nobody
                await asyncio.sleep(0.001)
    assert questions(sandbox) == [f"/anthropic/v1/models/{MODEL}"]


async def test_a_row_may_forbid_it(sandbox: SandboxServer) -> None:
    async with provider(a_row(sandbox.anthropic_base_url, discover=False), "k") as anthropic:
        for _ in range(3):
            await said(anthropic, MODEL, stream=False)
    assert questions(sandbox) == []


async def test_the_sdk_reads_the_same(sandbox: SandboxServer, transport: HttpTransport) -> None:
    async with AsyncAnthropic(api_key="k", base_url=sandbox.anthropic_base_url) as client:
        one = await client.models.retrieve(MODEL)
        listed = [model async for model in client.models.list(limit=5)]
    assert ModelInfo.model_validate(await asked_model(transport, MODEL)) == one
    ours = [ModelInfo.model_validate(info) for info in await listed_models(transport)]
    assert ours == listed
    assert len({model.id for model in listed}) == len(listed) > 5


async def test_a_list_of_several_pages(
    sandbox: SandboxServer, transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await listed_models(transport)
    asked: list[str] = []
    ask = HttpTransport.get

    async def small_pages(self: HttpTransport, path: str, headers: Mapping[str, str]) -> bytes:
        asked.append(path)
        return await ask(self, path.replace("limit=1000", "limit=7"), headers)

    monkeypatch.setattr(HttpTransport, "get", small_pages)
    assert await listed_models(transport) == whole
    assert len(asked) == -(-len(whole) // 7)


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=1001", "after_id=x", "before_id=x"])
async def test_the_sandbox_refuses_pages_that_are_none(
    transport: HttpTransport, query: str
) -> None:
    with pytest.raises(HttpStatusError) as error:
        await transport.get(f"/v1/models?{query}", {"anthropic-version": "2026-10-21"})
    assert error.value.status == 400


async def test_the_sdk_pages_backwards(sandbox: SandboxServer) -> None:
    async with AsyncAnthropic(api_key="k", base_url=sandbox.anthropic_base_url) as client:
        every = [model.id async for model in client.models.list(limit=1000)]
        before = await client.models.list(limit=2, before_id=every[5])
    assert [model.id for model in before.data] == every[3:5]
    assert before.has_more


async def test_models_that_the_api_does_not_know(transport: HttpTransport) -> None:
    with pytest.raises(HttpStatusError) as error:
        await asked_model(transport, "claude-does-not-exist")
    assert error.value.status == 404
    with pytest.raises(HttpStatusError):
        await asked_model(transport, "../../does-not-exist?x=y#z")


class Page(HttpTransport):
    """Answers with what a test gives it."""

    async def get(self, path: str, headers: Mapping[str, str]) -> bytes:
        return self.base_url.encode()


@pytest.mark.parametrize("body", ["", "[]", "7", '{"data": 7}', '{"data": [7]}', "{"])
async def test_answers_that_are_none(transport: HttpTransport, body: str) -> None:
    page = Page(transport.client, body, {}, "", transport.timeouts)
    with pytest.raises(ProviderError) as error:
        await listed_models(page)
    assert error.value.kind == "protocol"

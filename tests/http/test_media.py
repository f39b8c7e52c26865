"""Media by address, through the server, with the OpenAI SDK."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from openai import APIStatusError, AsyncOpenAI, BadRequestError

from tests.http.wire import Connection, Upstream, body_of, eventually, new_sdk, unique
from tests.providers import PROMPT, UPSTREAM_KEY, closed_port
from tests.proxy.media_server import PNG, Asked, answer, media_server
from tests.serving import Proxy, SandboxProcess

ENCODED = base64.b64encode(PNG).decode()
INLINED = f"data:image/png;base64,{ENCODED}"
CAPABILITIES = ["system_prompts", "streaming", "tool_calling", "vision", "pdf", "audio"]


@pytest.fixture(scope="module")
def host() -> str:
    """Where the tests' own media are."""
    return f"127.0.0.1:{closed_port()}"


def _policy(sandbox: SandboxProcess, media: dict[str, Any]) -> dict[str, Any]:
    rows = {
        "openai": ("openai_chat", sandbox.openai, "gpt-4.1"),
        "anthropic": ("anthropic_messages", sandbox.anthropic, "claude-sonnet-4-6"),
        "gemini": ("gemini_generate", f"{sandbox.url}/gemini", "gemini-3.6-flash"),
        "second_gemini": ("gemini_generate", f"{sandbox.url}/gemini", "gemini-3.1-pro-preview"),
    }
    chains = {
        **{name: [name] for name in rows},
        "gemini_first": ["gemini", "anthropic"],
        "two_geminis": ["gemini", "second_gemini"],
    }
    return {
        "media": media,
        "providers": {
            name: {
                "dialect": dialect,
                "base_url": url,
                "model": model,
                "api_key_env": "UPSTREAM_KEY",
                "capabilities": CAPABILITIES,
            }
            for name, (dialect, url, model) in rows.items()
        },
        "personas": {
            name: {"provider_preferences": chain, "system_prompt": PROMPT}
            for name, chain in chains.items()
        },
    }


@pytest.fixture(scope="module")
def fetching(providers: SandboxProcess, host: str) -> Iterator[Proxy]:
    policy = _policy(providers, {"allow_hosts": [host], "timeout": 30.0})
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as server:
        yield server


@pytest.fixture(scope="module")
def not_fetching(providers: SandboxProcess) -> Iterator[Proxy]:
    policy = _policy(providers, {"fetch": False})
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as server:
        yield server


@pytest.fixture(scope="module")
def with_room_for_one(providers: SandboxProcess, host: str) -> Iterator[Proxy]:
    """A server that may hold the media of one request at a time."""
    room: dict[str, Any] = dict.fromkeys(["max_bytes", "max_total_bytes", "max_memory_bytes"], 1000)
    policy = _policy(providers, {"allow_hosts": [host], "timeout": 1.0, **room})
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as server:
        yield server


@pytest.fixture
async def sdk(fetching: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with new_sdk(fetching) as client:
        yield client


async def png(asked: Asked) -> None:
    await answer(asked, PNG, kind="image/png")


async def missing(asked: Asked) -> None:
    await answer(asked, b"not here", status=404)


def port_of(host: str) -> int:
    return int(host.rpartition(":")[2])


def seeing(text: str, url: str) -> dict[str, Any]:
    """Return a user message with an image at an address."""
    image = {"type": "image_url", "image_url": {"url": url}}
    return {"role": "user", "content": [{"type": "text", "text": text}, image]}


async def ask(sdk: AsyncOpenAI, persona: str, *messages: Any, **more: Any) -> Any:
    create: Any = sdk.chat.completions.create
    return await create(model=persona, messages=list(messages), **more)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_row_49_gemini_gets_the_bytes_of_an_image_by_address(
    sdk: AsyncOpenAI, upstream: Upstream, host: str, stream: bool
) -> None:
    marker = unique()
    async with media_server(png, port=port_of(host)) as server:
        found = await ask(sdk, "gemini", seeing(marker, f"http://{host}/a"), stream=stream)
        if stream:
            assert [chunk async for chunk in found]
        else:
            assert found.choices[0].finish_reason == "stop"
    assert server.paths == ["/a"]
    sent = await upstream.request(marker)
    assert sent["body"]["contents"][0]["parts"] == [
        {"text": marker},
        {"inlineData": {"mimeType": "image/png", "data": ENCODED}},
    ]


async def test_row_49_providers_that_fetch_images_get_the_address(
    sdk: AsyncOpenAI, upstream: Upstream
) -> None:
    marker, url = unique(), "https://127.0.0.1/private.png"
    for persona in ("openai", "anthropic"):
        await ask(sdk, persona, seeing(marker, url))
    requests = await upstream.requests(marker)
    assert [url in str(request["body"]) for request in requests] == [True, True]


async def test_row_49_an_image_in_a_tool_result_is_fetched(
    sdk: AsyncOpenAI, upstream: Upstream, host: str
) -> None:
    marker = unique()
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    image = {"type": "image_url", "image_url": {"url": f"http://{host}/a"}}
    async with media_server(png, port=port_of(host)):
        await ask(
            sdk,
            "gemini",
            {"role": "user", "content": marker},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "c1", "content": [image]},
        )
    assert ENCODED in str((await upstream.request(marker))["body"]["contents"][2])


async def test_openai_gets_a_file_by_address_as_its_bytes(
    sdk: AsyncOpenAI, upstream: Upstream, host: str
) -> None:
    async def pdf(asked: Asked) -> None:
        await answer(asked, b"%PDF-1.7", kind="application/pdf")

    marker = unique()
    text = {"type": "text", "text": marker}
    file = {"type": "file", "file": {"file_url": f"http://{host}/doc.pdf?sig=1"}}
    async with media_server(pdf, port=port_of(host)):
        await ask(sdk, "openai", {"role": "user", "content": [text, file]})
    sent = await upstream.request(marker)
    data = base64.b64encode(b"%PDF-1.7").decode()
    assert sent["body"]["messages"][1]["content"][1]["file"] == {
        "file_data": f"data:application/pdf;base64,{data}",
        "filename": "doc.pdf",
    }


async def test_an_address_without_media_is_a_400_that_names_it(
    sdk: AsyncOpenAI, fetching: Proxy, host: str
) -> None:
    async with media_server(missing, port=port_of(host)):
        with pytest.raises(BadRequestError) as raised:
            await ask(
                sdk, "gemini", {"role": "user", "content": "Hi"}, seeing("Look", f"http://{host}/a")
            )
    error = raised.value
    # Counted as the client sent it: the persona's own message is not in it.
    assert error.param == "messages[1].content[1].image_url.url"
    assert error.code == "failed_to_download_image"
    assert error.type == "invalid_request_error"
    assert "404" in error.message
    assert host not in error.message
    assert "httpx" not in fetching.log()


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost/a",
        "https://localhost/a",
        "https://127.0.0.1/a",
        "https://169.254.169.254/latest/meta-data/",
        "https://[::ffff:169.254.169.254]/latest",
    ],
)
async def test_row_49_a_private_address_is_a_400(sdk: AsyncOpenAI, url: str) -> None:
    with pytest.raises(BadRequestError) as raised:
        await ask(sdk, "gemini", seeing("Look", url))
    assert raised.value.param == "messages[0].content[1].image_url.url"
    assert raised.value.code == "invalid_image_url"


async def test_what_one_provider_cannot_have_the_next_may_fetch_itself(
    sdk: AsyncOpenAI, upstream: Upstream
) -> None:
    marker, url = unique(), "https://127.0.0.1/private.png"
    await ask(sdk, "gemini_first", seeing(marker, url))
    (sent,) = await upstream.requests(marker)
    assert "/anthropic/" in sent["path"]
    assert url in str(sent["body"])


async def test_an_address_is_fetched_once_though_two_providers_are_tried(
    sdk: AsyncOpenAI, upstream: Upstream, host: str
) -> None:
    marker = unique()
    text = f"{marker} [sandbox fail=500 times=1 key={marker}]"
    async with media_server(png, port=port_of(host)) as server:
        await ask(sdk, "two_geminis", seeing(text, f"http://{host}/a"))
    assert server.paths == ["/a"]
    requests = await upstream.requests(marker)
    assert [ENCODED in str(request["body"]) for request in requests] == [True, True]


async def test_the_next_turn_begins_with_the_same_bytes(
    sdk: AsyncOpenAI, upstream: Upstream, host: str
) -> None:
    marker = unique()
    first = seeing(marker, f"http://{host}/a")
    async with media_server(png, port=port_of(host)):
        await ask(sdk, "gemini", first)
        await ask(
            sdk,
            "gemini",
            first,
            {"role": "assistant", "content": "I see."},
            {"role": "user", "content": "And?"},
        )
    one, two = await upstream.requests(marker)
    assert two["body"]["contents"][:1] == one["body"]["contents"]
    assert len(two["body"]["contents"]) == 3


async def test_the_switch_sends_the_request_where_it_can_be_served(
    not_fetching: Proxy, upstream: Upstream
) -> None:
    marker, url = unique(), "https://example.com/a.png"
    async with new_sdk(not_fetching) as sdk:
        with pytest.raises(BadRequestError) as raised:
            await ask(sdk, "gemini", seeing(marker, url))
        assert raised.value.param == "messages[0].content[1].image_url.url"
        assert "`data:` URL" in raised.value.message
        await ask(sdk, "gemini", seeing("Look", INLINED))
        await ask(sdk, "gemini_first", seeing(marker, url))
    assert "/anthropic/" in (await upstream.request(marker))["path"]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_row_63_leaving_during_a_download_ends_it(
    fetching: Proxy, upstream: Upstream, host: str, stream: bool
) -> None:
    started = asyncio.Event()

    async def slow(asked: Asked) -> None:
        started.set()
        await asked.gone.wait()

    async with media_server(slow, port=port_of(host)) as server:
        body = body_of("gemini", stream=stream, messages=[seeing("Look", f"http://{host}/a")])
        async with await Connection.ask(fetching, body) as client:
            await asyncio.wait_for(started.wait(), 10)
            await client.close()

            async def gone() -> bool:
                return server.asked[0].gone.is_set()

            await eventually(gone, 1.0, "the end of the download")
    assert await upstream.count("started") == 0


async def test_what_is_held_is_given_back_when_the_answer_begins_or_fails(
    with_room_for_one: Proxy, host: str
) -> None:
    url = f"http://{host}/a"
    async with media_server(png, port=port_of(host)), new_sdk(with_room_for_one) as sdk:
        for stream in (True, False):
            with pytest.raises(BadRequestError):
                await ask(sdk, "gemini", seeing("[sandbox fail=400]", url), stream=stream)
        first = await ask(sdk, "gemini", seeing("Look", url), stream=True)
        await ask(sdk, "gemini", seeing("Look", url))
        await ask(sdk, "gemini", seeing("Look", url))
        assert [chunk async for chunk in first]


async def test_without_room_the_next_provider_is_asked_or_the_client_told(
    with_room_for_one: Proxy, upstream: Upstream, host: str
) -> None:
    marker, began, url = unique(), asyncio.Event(), f"http://{host}/a"

    async def slow(asked: Asked) -> None:
        began.set()
        await asked.gone.wait()

    async with media_server(slow, port=port_of(host)), new_sdk(with_room_for_one) as sdk:
        held = asyncio.ensure_future(ask(sdk, "gemini", seeing("Look", url)))
        await asyncio.wait_for(began.wait(), 10)
        others = [ask(sdk, "gemini", seeing("Look", url)) for _ in range(3)]
        # What Gemini may not have for want of room, Anthropic fetches itself.
        address = seeing(marker, "https://127.0.0.1/a")
        elsewhere = [ask(sdk, "gemini_first", address) for _ in range(2)]
        *ends, first, second = await asyncio.gather(
            held, *others, *elsewhere, return_exceptions=True
        )
    assert "choices=" in repr(first)
    assert "choices=" in repr(second)
    sent = await upstream.requests(marker)
    assert ["/anthropic/" in request["path"] for request in sent] == [True, True]
    errors = [end for end in ends if isinstance(end, APIStatusError)]
    # The turn of one may come when the first one's time is over; there is none for the others.
    assert [error.status_code for error in errors].count(503) >= 2
    for error in errors:
        codes = {400: "failed_to_download_image", 503: "server_is_overloaded"}
        assert error.code == codes[error.status_code]
        assert error.param == "messages[0].content[1].image_url.url"

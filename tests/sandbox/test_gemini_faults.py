"""The bytes of Gemini's streams, whole and broken, over real sockets."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import errors

from proxy.sandbox.server import SandboxServer

from .conftest import Wire
from .test_faults import Raw

_SSE, _ARRAY = "?alt=sse", ""
_BUSY = "This model is currently experiencing high demand."


async def _sent(server: SandboxServer, text: str, form: str = _SSE, *, stream: bool = True) -> Raw:
    body = json.dumps({"contents": [{"role": "user", "parts": [{"text": text}]}]}).encode()
    method = "streamGenerateContent" if stream else "generateContent"
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(
        f"POST /gemini/v1/models/gemini-2.5-flash:{method}{form} HTTP/1.1\r\nhost: x\r\n"
        "x-goog-api-key: k\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
        + body
    )
    return Raw(reader, writer)


async def _stream(wire: Wire, text: str, form: str) -> httpx.Response:
    return await wire.gemini(text, method=f"streamGenerateContent{form}")


@pytest.fixture(params=[_SSE, _ARRAY], ids=["sse", "array"])
def form(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
async def gemini(sandbox: SandboxServer) -> AsyncIterator[Any]:
    async with httpx.AsyncClient(trust_env=False) as client:
        http: Any = {"base_url": sandbox.gemini_base_url, "httpx_async_client": client}
        yield genai.Client(api_key="k", http_options=http).aio.models


def _texts(chunks: Any) -> list[str]:
    return [chunk["candidates"][0]["content"]["parts"][0]["text"] for chunk in chunks]


async def test_events_are_framed_by_crlf_and_nothing_else(wire: Wire) -> None:
    answer = await _stream(wire, "Hi [sandbox words=6 chunks=3]", _SSE)
    assert answer.headers["content-type"] == "text/event-stream"
    *events, rest = answer.text.split("\r\n\r\n")
    assert rest == ""
    assert [event[:16] for event in events] == ['data: {"candidat'] * 3
    assert "\n" not in "".join(events)
    chunks = [json.loads(event.removeprefix("data: ")) for event in events]
    assert _texts(chunks) == ["the proxy", " sends this", " sentence word"]
    assert [chunk["candidates"][0].get("finishReason") for chunk in chunks] == [None, None, "STOP"]
    assert len({chunk["responseId"] for chunk in chunks}) == 1
    assert {chunk["modelVersion"] for chunk in chunks} == {"gemini-2.5-flash"}


async def test_without_alt_the_stream_is_an_array(wire: Wire) -> None:
    answer = await _stream(wire, "Hi [sandbox words=6 chunks=3]", _ARRAY)
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert answer.text.startswith("[{")
    assert answer.text.endswith("}\n]")
    assert _texts(answer.json()) == ["the proxy", " sends this", " sentence word"]


async def test_markup_is_escaped(wire: Wire) -> None:
    answer = await _stream(wire, 'Hi [sandbox say="<b>&amp;</b>" chunks=1]', _SSE)
    assert r"\u003cb\u003e\u0026amp;\u003c/b\u003e" in answer.text


async def test_errors_have_the_form_of_the_stream(wire: Wire) -> None:
    events = await _stream(wire, "[sandbox fail=503]", _SSE)
    assert (events.status_code, events.headers["content-type"]) == (503, "text/event-stream")
    assert events.json()["error"]["status"] == "UNAVAILABLE"
    array = await _stream(wire, "[sandbox fail=503]", _ARRAY)
    assert [item["error"]["code"] for item in array.json()] == [503]
    whole = await wire.gemini("[sandbox fail=503]")
    assert whole.headers["content-type"] == "application/json; charset=UTF-8"
    assert whole.json()["error"]["message"].startswith(_BUSY)


async def test_busy_service_says_when_to_come_back(wire: Wire) -> None:
    told = (await wire.gemini("[sandbox fail=429 retry_after=0.5]")).json()["error"]
    assert [d["@type"].rpartition(".")[2] for d in told["details"]] == [
        "Help",
        "QuotaFailure",
        "RetryInfo",
    ]
    assert told["message"].endswith("Please retry in 0.5s.")
    plain = (await wire.gemini("[sandbox fail=429]")).json()["error"]
    assert plain == {
        "code": 429,
        "message": "Resource has been exhausted (e.g. check quota).",
        "status": "RESOURCE_EXHAUSTED",
    }
    spent = (await wire.gemini("[sandbox fail=quota]")).json()["error"]
    assert "limit: 0" in spent["message"]
    assert "PerDay" in spent["details"][1]["violations"][0]["quotaId"]


@pytest.mark.parametrize("events", [0, 1, 3])
async def test_cut_resets_the_connection(sandbox: SandboxServer, form: str, events: int) -> None:
    raw = await _sent(sandbox, f"[sandbox words=30 cut={events}]", form)
    assert await raw.read_to_end() == "reset"
    assert raw.received.count(b'"candidates"') == events
    assert not raw.received.endswith(b"0\r\n\r\n")
    await raw.close()


async def test_eof_ends_the_body_without_a_reason(sandbox: SandboxServer, form: str) -> None:
    raw = await _sent(sandbox, "[sandbox words=30 eof=3]", form)
    assert await raw.read_to_end() == "closed"
    assert raw.received.count(b'"candidates"') == 3
    assert raw.received.endswith(b"0\r\n\r\n")
    assert b"finishReason" not in raw.received
    await raw.close()


async def test_a_fault_beyond_the_end_changes_nothing(sandbox: SandboxServer, form: str) -> None:
    raw = await _sent(sandbox, "[sandbox words=3 cut=99 eof=99 error=99 stall=99]", form)
    assert await raw.read_to_end() == "closed"
    assert b'"finishReason": "STOP"' in raw.received
    await raw.close()


@pytest.mark.parametrize("events", [0, 2])
async def test_error_in_mid_stream_is_bare_json(wire: Wire, events: int) -> None:
    text = f"[sandbox words=30 error={events}]"
    answer = await _stream(wire, text, _SSE)
    *before, tail = answer.text.split("\r\n\r\n")
    assert len(before) == events
    assert tail.startswith("{\n")
    assert json.loads(tail)["error"]["status"] == "UNAVAILABLE"
    items = (await _stream(wire, text, _ARRAY)).json()
    assert ["error" in item for item in items] == [False] * events + [True]


async def test_the_sdk_raises_an_error_in_mid_stream(gemini: Any) -> None:
    text = "[sandbox words=30 error=3 error_type=INTERNAL]"
    received = 0
    with pytest.raises(errors.ServerError) as caught:
        async for _ in await gemini.generate_content_stream(model="m", contents=text):
            received += 1
    assert received == 3
    assert (caught.value.code, caught.value.status) == (500, "INTERNAL")


async def test_the_sdk_understands_failures(gemini: Any) -> None:
    stream = gemini.generate_content_stream
    for ask in (gemini.generate_content, stream):
        with pytest.raises(errors.ClientError) as caught:
            answer = await ask(model="m", contents="[sandbox fail=429 retry_after=3]")
            _ = [chunk async for chunk in answer]
        assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")


async def test_retries_of_the_sdk_succeed(sandbox: SandboxServer) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        retries = {"attempts": 2, "initial_delay": 0.01, "max_delay": 0.02}
        http: Any = {
            "base_url": sandbox.gemini_base_url,
            "httpx_async_client": client,
            "retry_options": retries,
        }
        models: Any = genai.Client(api_key="k", http_options=http).aio.models
        answer = await models.generate_content(model="m", contents="[sandbox fail=503 times=1]")
        assert answer.text


async def test_malformed_event(wire: Wire) -> None:
    answer = await _stream(wire, "[sandbox words=30 garbage=2]", _SSE)
    *events, _ = answer.text.split("\r\n\r\n")
    assert [i for i, event in enumerate(events) if not event.endswith("}")] == [2]
    array = await _stream(wire, "[sandbox words=30 garbage=2]", _ARRAY)
    with pytest.raises(ValueError, match=r"."):
        array.json()


async def test_pieces_cut_frames_and_characters(sandbox: SandboxServer, form: str) -> None:
    raw = await _sent(sandbox, "[sandbox words=40 bytes=1]", form)
    await raw.read_to_end()
    assert raw.received.count(b"\r\n1\r\n") > 1000
    await raw.close()


async def test_faults_of_a_whole_answer(wire: Wire) -> None:
    with pytest.raises(httpx.HTTPError):
        await wire.gemini("Hi [sandbox cut=0]")
    for directive in ("garbage=1", "eof=1"):
        answer = await wire.gemini(f"Hi [sandbox {directive}]")
        assert answer.status_code == 200
        with pytest.raises(ValueError, match=r"."):
            answer.json()
    assert (await wire.gemini("Hi [sandbox error=1]")).status_code == 503


async def test_pauses(sandbox: SandboxServer, form: str) -> None:
    """With `first` an event without parts comes at once, since no other could."""
    started = time.monotonic()
    raw = await _sent(sandbox, "[sandbox delay=0.2 first=0.2 gap=0.02 words=10]", form)
    await raw.read_until(b"HTTP/1.1 200")
    assert time.monotonic() - started >= 0.2
    await raw.read_until(b'"candidates"')
    before_content = time.monotonic()
    assert b'"parts"' not in raw.received
    await raw.read_to_end()
    assert time.monotonic() - before_content >= 0.2 + 4 * 0.02
    await raw.close()


@pytest.mark.parametrize(
    ("directive", "stream"),
    [
        ("delay=60", True),
        ("first=60", True),
        ("gap=60", True),
        ("stall=3", True),
        ("stall=0", False),
    ],
)
async def test_leaving_is_noticed_at_once(wire: Wire, directive: str, stream: bool) -> None:
    form = _SSE if stream else ""
    raw = await _sent(wire.server, f"[sandbox {directive} words=30]", form, stream=stream)

    async def until(**wanted: int) -> None:
        for _ in range(200):
            tally = (await wire.stats())["dialects"]["gemini"]
            if all(tally[key] == value for key, value in wanted.items()):
                return
            await asyncio.sleep(0.01)
        raise AssertionError("it did not come to pass")

    await until(open=1)
    started = time.monotonic()
    await raw.close()
    await until(open=0, aborted_by_client=1, finished=0)
    assert time.monotonic() - started < 1

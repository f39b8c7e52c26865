"""Every limit ends what it limits: with a status before the answer, in band after its beginning."""

import asyncio

import pytest

from tests.http.scripted import ENDINGS, OPENINGS, Stage, delta, scripted
from tests.http.wire import Upstream, assert_error, assert_error_object, chat, events_of, text_of
from tests.serving import Proxy


@pytest.mark.parametrize("silence", ["delay=30", "first=30"])
async def test_no_first_token_in_time_is_a_504(
    proxy: Proxy, upstream: Upstream, dialect: str, silence: str
) -> None:
    answer = await chat(proxy, f"short_{dialect}_only", f"[sandbox {silence}]", stream=True)
    error = assert_error(answer, 504, type="timeout", code="timeout")
    assert "0.5 s" in error["message"]
    assert answer.headers["x-ep-attempts"] == "1"
    await upstream.closed(dialect)


async def test_row_67_a_stream_may_last_longer_than_every_silence(
    proxy: Proxy, dialect: str
) -> None:
    """Limits of 0.5 s on silence, and 1.2 s of an answer that keeps coming."""
    text = "[sandbox gap=0.1 words=12 chunks=12]"
    answer = await chat(proxy, f"short_{dialect}_only", text, stream=True)
    assert events_of(answer.content)[-1] == "[DONE]"


async def test_row_67_the_servers_own_limit_does_not_end_a_stream_that_began(
    hasty: Proxy, dialect: str
) -> None:
    text = "[sandbox gap=0.1 words=12 chunks=12]"
    answer = await chat(hasty, f"{dialect}_only", text, stream=True)
    assert events_of(answer.content)[-1] == "[DONE]"


async def test_silence_in_mid_stream_is_an_error_event(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    text = "[sandbox words=60 stall=8]"
    answer = await chat(proxy, f"short_{dialect}_only", text, stream=True)
    *chunks, last = events_of(answer.content)
    assert text_of(chunks)
    assert_error_object(last["error"])
    assert last["error"]["type"] == "timeout"
    await upstream.closed(dialect)


async def test_the_total_limit_ends_a_stream_in_band(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    text = "[sandbox gap=0.1 words=400]"
    answer = await chat(proxy, f"total_{dialect}_only", text, stream=True)
    *chunks, last = events_of(answer.content)
    assert text_of(chunks)
    assert last["error"]["type"] == "timeout"
    assert "0.7 s" in last["error"]["message"]
    await upstream.closed(dialect)


async def test_the_total_limit_ends_a_whole_answer_with_a_504(proxy: Proxy, dialect: str) -> None:
    answer = await chat(proxy, f"total_{dialect}_only", "[sandbox delay=30]")
    error = assert_error(answer, 504, type="timeout", code="timeout")
    assert "0.7 s" in error["message"]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_the_servers_own_limit_ends_the_wait_with_a_504(
    hasty: Proxy, upstream: Upstream, dialect: str, stream: bool
) -> None:
    answer = await chat(hasty, f"{dialect}_first", "[sandbox delay=30]", stream=stream)
    assert_error(answer, 504, type="timeout", code="timeout")
    # The time is spent: nobody else is asked.
    assert answer.headers["x-ep-attempts"] == "1"
    await upstream.closed()


async def test_the_servers_own_limit_counts_over_all_attempts(hasty: Proxy, dialect: str) -> None:
    text = f"[sandbox provider={dialect} delay=0.6 fail=500] [sandbox delay=0.7]"
    answer = await chat(hasty, f"{dialect}_first", text)
    assert_error(answer, 504, type="timeout")
    assert answer.headers["x-ep-attempts"] == "2"


async def test_no_retry_is_waited_for_beyond_the_servers_own_limit(
    hasty: Proxy, dialect: str
) -> None:
    answer = await chat(hasty, f"{dialect}_only", "[sandbox fail=429 retry_after=2]")
    assert_error(answer, 429)
    assert answer.headers["retry-after"] == "2"
    assert answer.headers["x-ep-attempts"] == "1"


async def test_a_provider_that_sends_only_comments_is_silent(
    proxy: Proxy, scripted_port: int, dialect: str
) -> None:
    """Its heartbeats are not an answer: the first token is waited for, and not for ever."""

    async def play(stage: Stage) -> None:
        await stage.start()
        while True:
            await stage.send(b": ping\n\n")
            await asyncio.sleep(0.05)

    async with scripted(scripted_port, play):
        answer = await chat(proxy, f"scripted_{dialect}_only", stream=True)
    assert_error(answer, 504, type="timeout")


@pytest.mark.parametrize("ending", ["hangs", "breaks"])
async def test_an_answer_is_complete_with_its_last_event_whatever_becomes_of_the_connection(
    proxy: Proxy, scripted_port: int, dialect: str, ending: str
) -> None:
    """Some servers write the last event and then forget to end the body, or just close."""

    async def play(stage: Stage) -> None:
        await stage.start()
        await stage.send(OPENINGS[dialect] + delta(dialect, "all said") + ENDINGS[dialect])
        if ending == "hangs":
            await stage.gone()

    async with scripted(scripted_port, play):
        answer = await chat(proxy, f"scripted_{dialect}_only", stream=True)
    events = events_of(answer.content)
    assert text_of(events) == "all said"
    assert events[-1] == "[DONE]", events[-1]

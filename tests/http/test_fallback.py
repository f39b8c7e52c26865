"""A provider that fails before the answer began is replaced, and the client never knows."""

import asyncio

import httpx
import pytest

from tests.http.wire import Upstream, assert_error, chat, events_of, text_of, unique
from tests.serving import Proxy

OTHER = {"openai": "anthropic", "anthropic": "openai"}

STATUSES = [
    *("fail=429", "fail=429 retry_after=30", "fail=500", "fail=502", "fail=503", "fail=529"),
    *("fail=408", "fail=409", "fail=504", "fail=502 status_body=html"),
]
BROKEN_WHOLE = ["cut=0", "eof=0", "garbage=0"]
BROKEN_STREAM = [
    *("cut=0", "cut=1", "eof=0", "eof=1", "error=0", "error=1", "garbage=0", "garbage=1"),
    *("cut=2 provider=anthropic", "error=2 provider=anthropic"),
]


def _assert_answered(answer: httpx.Response, provider: str, *, stream: bool) -> None:
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-ep-attempts"] == "2"
    assert answer.headers["x-ep-provider"] == provider
    if stream:
        events = events_of(answer.content)
        assert events[-1] == "[DONE]"
        assert text_of(events) == "all is well"
        assert [e["choices"][0]["finish_reason"] for e in events[:-1]][-1] == "stop"
        assert len({e["id"] for e in events[:-1]}) == 1
    else:
        choice = answer.json()["choices"][0]
        assert choice["message"]["content"] == "all is well"
        assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("failure", STATUSES)
async def test_row_72_a_passing_failure_moves_on_to_the_next_provider(
    proxy: Proxy, dialect: str, failure: str, stream: bool
) -> None:
    text = f'[sandbox provider={dialect} {failure}] [sandbox say="all is well"]'
    answer = await chat(proxy, f"{dialect}_first", text, stream=stream)
    _assert_answered(answer, OTHER[dialect], stream=stream)


@pytest.mark.parametrize("failure", BROKEN_WHOLE)
async def test_row_68_a_broken_whole_answer_moves_on(
    proxy: Proxy, dialect: str, failure: str
) -> None:
    text = f'[sandbox provider={dialect} {failure}] [sandbox say="all is well"]'
    answer = await chat(proxy, f"{dialect}_first", text)
    _assert_answered(answer, OTHER[dialect], stream=False)


@pytest.mark.parametrize("failure", BROKEN_STREAM)
async def test_row_71_a_stream_that_breaks_before_it_says_anything_moves_on(
    proxy: Proxy, dialect: str, failure: str
) -> None:
    if failure.endswith("anthropic") and dialect != "anthropic":
        return
    group = failure if "provider" in failure else f"provider={dialect} {failure}"
    text = f'[sandbox {group}] [sandbox say="all is well"]'
    answer = await chat(proxy, f"{dialect}_first", text, stream=True)
    _assert_answered(answer, OTHER[dialect], stream=True)


@pytest.mark.parametrize("silence", ["delay=20", "first=20", "stall=1"])
async def test_row_67_a_provider_silent_for_too_long_is_replaced(
    proxy: Proxy, dialect: str, silence: str
) -> None:
    text = f'[sandbox provider={dialect} {silence}] [sandbox say="all is well"]'
    answer = await chat(proxy, f"short_{dialect}_first", text, stream=True)
    _assert_answered(answer, OTHER[dialect], stream=True)


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize("persona", ["dead_first", "deaf_first"])
async def test_a_provider_out_of_reach_is_replaced(
    proxy: Proxy, persona: str, stream: bool
) -> None:
    answer = await chat(proxy, persona, '[sandbox say="all is well"]', stream=stream)
    _assert_answered(answer, "openai", stream=stream)


async def test_a_replaced_attempt_is_ended_at_the_failed_provider(
    proxy: Proxy, upstream: Upstream, dialect: str
) -> None:
    text = f'[sandbox provider={dialect} first=20] [sandbox say="all is well"]'
    await chat(proxy, f"short_{dialect}_first", text, stream=True)
    await upstream.closed(dialect)
    assert await upstream.count("aborted_by_client", dialect) == 1


async def test_row_74_every_provider_is_asked_for_its_own_model(
    proxy: Proxy, upstream: Upstream
) -> None:
    marker = unique()
    answer = await chat(proxy, "two_models", f"{marker} [sandbox fail=500 times=1 key={marker}]")
    asked = [request["body"]["model"] for request in await upstream.requests(marker)]
    assert asked == ["gpt-4.1", "gpt-4.1-mini"]
    assert answer.json()["model"].startswith("gpt-4.1-mini")
    assert answer.headers["x-ep-provider"] == "second_openai"


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_short_retry_after_is_waited_for(
    proxy: Proxy, upstream: Upstream, dialect: str, stream: bool
) -> None:
    marker = unique()
    text = f'[sandbox fail=429 retry_after=0.2 times=1 key={marker}] [sandbox say="all is well"]'
    answer = await chat(proxy, f"{dialect}_first", text, stream=stream)
    _assert_answered(answer, dialect, stream=stream)
    assert await upstream.count("started", OTHER[dialect]) == 0
    assert float(answer.headers["x-ep-overhead-ms"]) < 150


async def test_the_only_provider_is_tried_once_more(proxy: Proxy, dialect: str) -> None:
    text = f'[sandbox fail=503 times=1 key={unique()}] [sandbox say="all is well"]'
    answer = await chat(proxy, f"{dialect}_only", text)
    _assert_answered(answer, dialect, stream=False)


SURFACE = [
    ("fail=400", 400, "invalid_request_error"),
    ("fail=401", 502, "server_error"),
    ("fail=403", 502, "server_error"),
    ("fail=404", 404, "invalid_request_error"),
    ("fail=413", 413, "invalid_request_error"),
    ("fail=422", 400, "invalid_request_error"),
]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
@pytest.mark.parametrize(("failure", "status", "kind"), SURFACE, ids=lambda value: str(value))
async def test_a_refusal_of_the_request_itself_surfaces_at_once(
    proxy: Proxy, upstream: Upstream, dialect: str, failure: str, *, status: int, kind: str,
    stream: bool,
) -> None:  # fmt: skip
    answer = await chat(proxy, f"{dialect}_first", f"[sandbox {failure}]", stream=stream)
    error = assert_error(answer, status, type=kind)
    assert answer.headers["x-ep-attempts"] == "1"
    assert answer.headers["x-ep-provider"] == dialect
    assert await upstream.count("started") == 1
    if status == 502:
        assert error["code"] == "upstream_authentication_failed"
        assert answer.headers["x-should-retry"] == "false"


EXHAUSTED = [
    ("fail=429", 429, "rate_limit_exceeded"),
    ("fail=500", 502, "upstream_error"),
    ("fail=529", 503, "server_is_overloaded"),
    ("fail=503", 503, "server_is_overloaded"),
    ("fail=504", 504, "timeout"),
    ("cut=0", 502, "upstream_error"),
]


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_row_68_when_all_fail_the_last_error_surfaces_after_few_attempts(
    proxy: Proxy, upstream: Upstream, dialect: str, stream: bool
) -> None:
    answers = await asyncio.gather(
        *(
            chat(proxy, f"{dialect}_first", f"[sandbox {failure}]", stream=stream)
            for failure, _, _ in EXHAUSTED
        )
    )
    total = 0
    for answer, (failure, status, code) in zip(answers, EXHAUSTED, strict=True):
        error = assert_error(answer, status)
        assert error["code"] == code, failure
        assert answer.headers["x-ep-provider"] == OTHER[dialect]
        attempts = int(answer.headers["x-ep-attempts"])
        assert 2 <= attempts <= 3, failure
        total += attempts
    assert await upstream.count("started") == total


async def test_row_97_a_long_retry_after_reaches_the_client(proxy: Proxy, dialect: str) -> None:
    text = "[sandbox fail=429 retry_after=17]"
    answer = await chat(proxy, f"{dialect}_first", text, stream=True)
    error = assert_error(answer, 429, type="rate_limit_error", code="rate_limit_exceeded")
    assert error["param"] is None
    assert answer.headers["retry-after"] == "17"
    assert answer.headers["x-ep-attempts"] == "2"


async def test_a_provider_out_of_reach_and_alone_is_a_502(proxy: Proxy) -> None:
    answer = await chat(proxy, "dead_only")
    error = assert_error(answer, 502, code="upstream_error")
    assert "cannot be reached" in error["message"]
    assert answer.headers["x-ep-attempts"] == "2"


async def test_a_provider_that_takes_no_connection_and_is_alone_is_a_504(proxy: Proxy) -> None:
    error = assert_error(await chat(proxy, "deaf_only"), 504, type="timeout", code="timeout")
    assert "0.4 s" in error["message"]

"""While a provider is silent, comments keep the connection alive; nothing else changes."""

import pytest
from openai import APIError

from tests.http.wire import (
    Connection,
    assert_error_object,
    body_of,
    chat,
    events_of,
    new_sdk,
    text_of,
)
from tests.serving import Proxy

OTHER = {"openai": "anthropic", "anthropic": "openai"}


@pytest.mark.parametrize("silence", ["delay=0.7", "first=0.7"])
async def test_row_69_comments_come_before_the_first_token(
    pinging: Proxy, dialect: str, silence: str
) -> None:
    text = f"[sandbox {silence} words=20]"
    answer = await chat(pinging, f"{dialect}_only", text, stream=True)
    assert answer.status_code == 200
    assert 2 <= answer.text.count(": ping\n\n") <= 6
    assert answer.text.startswith(": ping\n\n")
    events = events_of(answer.content)
    assert events[-1] == "[DONE]"
    assert len(text_of(events).split()) == 20


async def test_row_69_the_headers_come_with_the_first_comment_and_say_what_is_known(
    pinging: Proxy, dialect: str
) -> None:
    body = body_of(f"{dialect}_only", "[sandbox first=30]", stream=True)
    async with await Connection.ask(pinging, body) as client:
        await client.until(b": ping\n\n")
    top = client.received.partition(b"\r\n\r\n")[0].decode().lower()
    assert top.startswith("http/1.1 200 ok")
    assert "content-type: text/event-stream" in top
    assert f"x-ep-persona: {dialect}_only" in top
    assert f"x-ep-provider: {dialect}" in top
    assert "x-ep-attempts: 1" in top
    assert "x-request-id: " in top


async def test_comments_come_in_mid_stream(pinging: Proxy, dialect: str) -> None:
    answer = await chat(
        pinging, f"{dialect}_only", "[sandbox gap=0.5 words=3 chunks=1]", stream=True
    )
    body = answer.text
    first = body.index('"the proxy sends')
    assert ": ping\n\n" in body[first:]
    events = events_of(body)
    assert events[-1] == "[DONE]"
    assert text_of(events) == "the proxy sends"


async def test_no_comment_comes_while_there_is_something_to_say(
    pinging: Proxy, dialect: str
) -> None:
    text = "[sandbox gap=0.02 words=40]"
    answer = await chat(pinging, f"{dialect}_only", text, stream=True)
    assert ": ping" not in answer.text


async def test_another_provider_can_still_take_over_after_a_comment(
    pinging: Proxy, dialect: str
) -> None:
    text = f"[sandbox provider={dialect} delay=0.5 fail=500] [sandbox words=10]"
    answer = await chat(pinging, f"{dialect}_first", text, stream=True)
    assert answer.text.startswith(": ping\n\n")
    events = events_of(answer.content)
    assert events[-1] == "[DONE]"
    assert len(text_of(events).split()) == 10
    # What was known when the first comment was sent; the decision log has the last word.
    assert answer.headers["x-ep-provider"] == dialect
    line = pinging.decision(answer.headers["x-request-id"])
    assert (line["provider"], line["attempts"]) == (OTHER[dialect], 2)


@pytest.mark.parametrize(
    ("failure", "code"),
    [("delay=0.5 fail=400", None), ("delay=0.5 fail=429 retry_after=60", "rate_limit_exceeded")],
)
async def test_an_error_after_a_comment_comes_in_band(
    pinging: Proxy, dialect: str, failure: str, code: str | None
) -> None:
    answer = await chat(pinging, f"{dialect}_only", f"[sandbox {failure}]", stream=True)
    assert answer.status_code == 200
    assert answer.text.startswith(": ping\n\n")
    (event,) = events_of(answer.content)
    assert_error_object(event["error"])
    assert event["error"]["code"] == code
    line = pinging.decision(answer.headers["x-request-id"])
    assert line["error"]["code"] == code


async def test_a_wait_before_a_retry_is_filled_with_comments(pinging: Proxy, dialect: str) -> None:
    text = f"[sandbox fail=429 retry_after=0.8 times=1 key=wait-{dialect}] [sandbox words=5]"
    answer = await chat(pinging, f"{dialect}_only", text, stream=True)
    assert answer.text.count(": ping\n\n") >= 2
    assert events_of(answer.content)[-1] == "[DONE]"


async def test_a_heartbeat_of_nothing_means_never(hasty: Proxy) -> None:
    text = "[sandbox first=0.7 words=20]"
    answer = await chat(hasty, "openai_only", text, stream=True)
    assert answer.status_code == 200
    assert ": ping" not in answer.text


async def test_the_default_is_silent_for_a_short_while(proxy: Proxy) -> None:
    answer = await chat(proxy, "openai_only", "[sandbox first=0.5 words=20]", stream=True)
    assert ": ping" not in answer.text


async def test_an_answer_that_is_not_streamed_has_no_comment(pinging: Proxy) -> None:
    answer = await chat(pinging, "openai_only", "[sandbox delay=0.6]")
    assert answer.json()["object"] == "chat.completion"


async def test_the_sdk_reads_over_comments(pinging: Proxy, dialect: str) -> None:
    async with new_sdk(pinging) as client:
        said = ""
        async for chunk in await client.chat.completions.create(
            model=f"{dialect}_only",
            messages=[{"role": "user", "content": "[sandbox first=0.5 gap=0.3 words=3 chunks=1]"}],
            stream=True,
        ):
            said += chunk.choices[0].delta.content or ""
        assert said == "the proxy sends"
        stream = await client.chat.completions.create(
            model=f"{dialect}_only",
            messages=[{"role": "user", "content": "[sandbox delay=0.5 fail=400]"}],
            stream=True,
        )
        with pytest.raises(APIError):
            async for _ in stream:
                pass

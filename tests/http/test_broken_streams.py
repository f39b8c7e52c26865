"""A stream that broke never looks finished."""

from typing import Any

import pytest
from openai import APIError

from tests.http.wire import assert_error_object, chat, events_of, new_sdk, text_of
from tests.serving import Proxy

# What breaks the stream, and the code that says so; None where the provider's words decide.
BROKEN: list[tuple[str, str | None]] = [
    ("cut=6", "upstream_error"),
    ("eof=6", "upstream_incomplete"),
    ("stall=6", "timeout"),
    ("error=6", None),
    ("error=6 error_type=overloaded_error", "server_is_overloaded"),
    ("garbage=6", None),
]


def _assert_broken(events: list[Any]) -> dict[str, Any]:
    """Check that a stream says something, then breaks; return the error object."""
    assert "[DONE]" not in events
    *chunks, last = events
    assert set(last) == {"error"}
    assert_error_object(last["error"])
    assert text_of(chunks)
    for chunk in chunks:
        assert "error" not in chunk
        assert all(choice["finish_reason"] is None for choice in chunk["choices"])
    return last["error"]


@pytest.mark.parametrize(("failure", "code"), BROKEN)
async def test_rows_65_66_a_break_after_the_first_token_is_one_error_event_and_the_end(
    proxy: Proxy, dialect: str, failure: str, code: str | None
) -> None:
    persona = f"short_{dialect}_first"
    answer = await chat(proxy, persona, f"[sandbox words=60 {failure}]", stream=True)
    assert answer.status_code == 200
    # No other provider goes on where this one stopped.
    assert answer.headers["x-ep-attempts"] == "1"
    error = _assert_broken(events_of(answer.content))
    if code is not None:
        assert error["code"] == code


@pytest.mark.parametrize("failure", [failure for failure, _ in BROKEN])
async def test_row_66_the_sdk_raises_at_a_broken_stream(
    proxy: Proxy, dialect: str, failure: str
) -> None:
    seen = ""
    async with new_sdk(proxy) as client:
        stream = await client.chat.completions.create(
            model=f"short_{dialect}_first",
            messages=[{"role": "user", "content": f"[sandbox words=60 {failure}]"}],
            stream=True,
        )
        with pytest.raises(APIError) as caught:
            async for chunk in stream:
                seen += chunk.choices[0].delta.content or ""
                assert chunk.choices[0].finish_reason is None
    assert seen.startswith("the proxy sends this sentence")
    assert caught.value.message


async def test_a_break_in_the_middle_of_a_tool_call_is_an_error_too(
    proxy: Proxy, dialect: str
) -> None:
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    argument = "x" * 200
    answer = await chat(
        proxy,
        f"{dialect}_first",
        f'[sandbox tool=look args={{"a":"{argument}"}} cut=8]',
        stream=True,
        tools=[tool],
    )
    *chunks, last = events_of(answer.content)
    assert set(last) == {"error"}
    assert answer.headers["x-ep-attempts"] == "1"
    assert any(chunk["choices"][0]["delta"].get("tool_calls") for chunk in chunks)
    assert all(chunk["choices"][0]["finish_reason"] is None for chunk in chunks)


@pytest.mark.parametrize(
    ("failure", "code"), [("eof=6", "upstream_incomplete"), ("cut=6", "upstream_error")]
)
async def test_row_66_the_break_is_in_the_decision_log(
    proxy: Proxy, dialect: str, failure: str, code: str
) -> None:
    answer = await chat(proxy, f"{dialect}_only", f"[sandbox words=60 {failure}]", stream=True)
    line = proxy.decision(answer.headers["x-request-id"])
    assert line["status"] == 200
    assert line["end"] == "upstream_error"
    assert line["error"]["code"] == code
    assert line["finish_reason"] is None


async def test_row_79_a_rate_limit_in_mid_stream_ends_the_stream_with_its_type(
    proxy: Proxy, dialect: str
) -> None:
    text = "[sandbox words=60 error=6 error_type=rate_limit_error]"
    answer = await chat(proxy, f"{dialect}_first", text, stream=True)
    error = _assert_broken(events_of(answer.content))
    assert error["type"] == "rate_limit_error"
    assert error["code"] == "rate_limit_exceeded"

"""One line of JSON for each request on standard error: the final values, and no content."""

import asyncio
import signal
from typing import Any

import pytest

from tests.http.wire import CHAT, assert_error, body_of, chat, new_client, unique
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess

OTHER = {"openai": "anthropic", "anthropic": "openai"}
CAPITAL = "Wq7canary"


def _line(proxy: Proxy, answer: Any) -> dict[str, Any]:
    return proxy.decision(answer.headers["x-request-id"])


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_a_line_says_where_a_request_went_and_what_came_of_it(
    proxy: Proxy, dialect: str, stream: bool
) -> None:
    answer = await chat(proxy, f"{dialect}_first", "[sandbox words=12]", stream=stream)
    line = _line(proxy, answer)
    assert line["model"] == f"{dialect}_first"
    assert line["provider"] == dialect
    assert line["attempts"] == 1
    assert (line["status"], line["end"], line["stream"]) == (200, "completed", stream)
    assert line["finish_reason"] == "stop"
    assert line["reason"] == "first preference"
    assert line["usage"]["completion_tokens"] == 12
    assert line["answered_by"].startswith(line["provider_model"])
    assert line["key"] == "anonymous"
    assert line["ms"] >= line["overhead_ms"] >= 0
    assert "error" not in line


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])
async def test_the_line_of_a_fallback_has_the_provider_that_answered(
    proxy: Proxy, dialect: str, stream: bool
) -> None:
    text = f"[sandbox provider={dialect} fail=500] [sandbox words=3]"
    line = _line(proxy, await chat(proxy, f"{dialect}_first", text, stream=stream))
    assert (line["provider"], line["attempts"]) == (OTHER[dialect], 2)
    assert line["end"] == "completed"
    assert "error" not in line


async def test_the_line_of_a_failure_has_the_error(proxy: Proxy, dialect: str) -> None:
    answer = await chat(proxy, f"{dialect}_only", "[sandbox fail=400]")
    line = _line(proxy, answer)
    assert (line["status"], line["attempts"]) == (400, 1)
    assert line["error"]["kind"] == "invalid"
    line = _line(proxy, await chat(proxy, "nobody"))
    assert line["status"] == 404
    assert line["error"]["code"] == "model_not_found"
    assert line["attempts"] == 0


async def test_the_line_says_what_was_ignored_and_who_was_passed_over(
    proxy: Proxy, shipped: Proxy
) -> None:
    answer = await chat(proxy, "anthropic_only", seed=5)
    assert _line(proxy, answer)["ignored"] == ["seed"]
    assert _line(proxy, answer)["rejected"] == []
    line = _line(shipped, await chat(shipped, "architect", logprobs=True))
    assert line["provider"] == "openai"
    passed_over = {row["provider"]: row for row in line["rejected"]}
    assert passed_over["anthropic"]["reason"] == "missing_capabilities"
    assert passed_over["anthropic"]["missing"] == ["logprobs"]


async def test_no_line_holds_content_or_a_key(proxy: Proxy, dialect: str) -> None:
    tool: dict[str, Any] = {
        "type": "function",
        "function": {"name": f"t_{CAPITAL}", "description": CAPITAL, "parameters": {}},
    }
    for text in (
        CAPITAL,
        f"{CAPITAL} [sandbox fail=500]",
        f"{CAPITAL} [sandbox eof=1]",
        f"{CAPITAL} [sandbox tool=t_{CAPITAL}]",
    ):
        for stream in (True, False):
            await chat(proxy, f"{dialect}_first", text, stream=stream, tools=[tool], user=CAPITAL)
    wrong = [{"role": CAPITAL, "content": CAPITAL}]
    assert_error(await chat(proxy, f"{dialect}_only", messages=wrong), 400)
    last = await chat(proxy, f"{dialect}_only")
    _line(proxy, last)
    log = proxy.log()
    assert CAPITAL not in log
    assert UPSTREAM_KEY not in log


async def test_every_line_is_one_json_object(proxy: Proxy) -> None:
    await chat(proxy, "a\nb\u2028\u0085c" + unique())
    await chat(proxy, "…" * 2000)
    last = await chat(proxy, "openai_only")
    _line(proxy, last)
    lines = proxy.lines()
    assert len([line for line in lines if line["event"] == "request"]) >= 3
    for line in lines:
        assert next(iter(line)) == "time"
        wanted = {"log": {"level", "logger", "message"}, "request": {"request_id", "status"}}
        assert set(line) >= wanted[line["event"]]


async def test_a_higher_log_level_silences_the_log(providers: SandboxProcess) -> None:
    env = {"UPSTREAM_KEY": UPSTREAM_KEY, "EP_LOG_LEVEL": "warning"}
    with Proxy(env=env, policy=standard_policy(providers)) as server:
        assert (await chat(server, "openai_only")).status_code == 200
        server.stop()
        assert server.log() == ""


async def test_a_log_that_nobody_reads_holds_up_nobody() -> None:
    """A pipe takes 64 KiB; then whoever writes to it waits."""
    with Proxy("--sandbox", unread=True) as server:
        async with new_client(server) as client:
            for _ in range(6):
                answers = await asyncio.gather(
                    *(client.post(CHAT, json=body_of("architect_openai")) for _ in range(50))
                )
                assert {answer.status_code for answer in answers} == {200}
        assert server.stop() in (0, -signal.SIGTERM)

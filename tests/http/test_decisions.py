"""`GET /v1/ep/decisions/{request_id}`: each outcome is explained, over real sockets."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from tests.agent_cli import NEEDS_CLI
from tests.http import agent_server
from tests.http.decision_records import record, verdicts
from tests.http.wire import Connection, body_of, chat, eventually, head, new_sdk, unique
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import Proxy, SandboxProcess

OTHER = {"openai": "anthropic", "anthropic": "openai"}
TOP = [
    *("request_id", "trace_id", "time", "state", "key", "persona", "policy_generation", "stream"),
    *("strict", "status", "end_reason", "error", "reason", "gates_set_aside", "required"),
    *("candidates", "attempts", "provider", "model", "answered_by", "finish_reason", "usage"),
    *("chunks", "ignored", "emulated", "reasoning_restored", "cache", "timings", "object"),
]
ATTEMPT = [
    *("number", "reason", "provider", "model", "dialect", "begin_ms", "first_chunk_ms"),
    *("duration_ms", "status", "provider_request_id", "end_reason", "error", "answered_by"),
    *("finish_reason", "usage", "chunks", "follow_ups", "ignored", "emulated", "agent"),
    "cost_usd",
]
BOTH = pytest.mark.parametrize("stream", [True, False], ids=["stream", "whole"])


@pytest.fixture
async def sdk(proxy: Proxy) -> AsyncIterator[AsyncOpenAI]:
    async with new_sdk(proxy) as client:
        yield client


async def ask(
    sdk: AsyncOpenAI, persona: str, text: Any = "Hi", *, stream: bool = False, **more: Any
) -> str:
    """Ask as a client does, and read the answer as far as it comes; return the request's id."""
    id = unique()
    messages: Any = [{"role": "user", "content": text}]
    headers = {"x-request-id": id, **more.pop("headers", {})}
    try:
        answer: Any = await sdk.chat.completions.create(
            model=persona, messages=messages, stream=stream, extra_headers=headers, **more
        )
        if stream:
            async for _ in answer:
                pass
    except openai.APIError:
        pass
    return id


@BOTH
async def test_an_answer(proxy: Proxy, sdk: AsyncOpenAI, dialect: str, stream: bool) -> None:
    id = await ask(sdk, f"{dialect}_first", "[sandbox words=12]", stream=stream)
    found = await record(proxy, id)
    assert list(found) == TOP
    assert (found["object"], found["request_id"], found["key"]) == ("decision", id, "anonymous")
    assert (found["persona"], found["policy_generation"]) == (f"{dialect}_first", 1)
    assert (found["status"], found["end_reason"], found["error"]) == (200, "completed", None)
    assert (found["stream"], found["strict"], found["trace_id"]) == (stream, False, None)
    assert found["reason"] == "first preference"
    assert {"capability": "streaming", "reason": "stream"} in found["required"] or not stream
    assert verdicts(found) == [(dialect, "answered"), (OTHER[dialect], "not_needed")]
    (attempt,) = found["attempts"]
    assert list(attempt) == ATTEMPT
    assert (attempt["number"], attempt["reason"], attempt["status"]) == (1, "initial", 200)
    assert (attempt["provider"], attempt["model"]) == (found["provider"], found["model"])
    assert attempt["dialect"] in ("openai_chat", "anthropic_messages")
    assert attempt["end_reason"] == "completed"
    assert attempt["provider_request_id"]
    assert attempt["begin_ms"] >= 0
    assert 0 < attempt["first_chunk_ms"] <= attempt["duration_ms"]
    assert attempt["usage"]["completion_tokens"] == found["usage"]["completion_tokens"] == 12
    assert (found["finish_reason"], attempt["finish_reason"]) == ("stop", "stop")
    assert found["answered_by"].startswith(found["model"])
    assert (found["chunks"] > 3) is stream
    spent = found["timings"]
    assert 0 < spent["overhead_ms"] <= spent["total_ms"]
    assert 0 < spent["waited_ms"] <= spent["total_ms"]


async def test_candidates_that_cannot_serve_it_are_rejected_with_the_reason(shipped: Proxy) -> None:
    answer = await chat(shipped, "architect", logprobs=True)
    found = await record(shipped, answer.headers["x-request-id"])
    # In the order of preference, whatever became of them.
    told = [(one["provider"], one["verdict"], one.get("reason")) for one in found["candidates"]]
    assert told == [
        ("claude_agent", "rejected", "missing_capabilities"),
        ("anthropic", "rejected", "missing_capabilities"),
        ("openai", "answered", None),
        ("gemini", "not_needed", None),
    ]
    anthropic, openai_ = found["candidates"][1:3]
    assert anthropic["missing"] == ["logprobs"]
    assert "it lacks `logprobs` (logprobs)" in anthropic["detail"]
    assert set(openai_) == {"provider", "model", "verdict"}
    assert {"capability": "logprobs", "reason": "logprobs"} in found["required"]
    assert found["reason"] == "the best preference that qualifies"


async def test_nobody_can_serve_it(proxy: Proxy, sdk: AsyncOpenAI, dialect: str) -> None:
    part = {"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}
    id = await ask(sdk, f"{dialect}_first", [{"type": "text", "text": "Hi"}, part])
    found = await record(proxy, id)
    assert (found["status"], found["attempts"], found["provider"]) == (400, [], None)
    assert (found["error"]["kind"], found["error"]["code"]) == ("NoProvider", "no_provider")
    assert verdicts(found) == [(dialect, "rejected"), (OTHER[dialect], "rejected")]
    assert {one["reason"] for one in found["candidates"]} == {"missing_capabilities"}
    assert [one["missing"] for one in found["candidates"]] == [["audio"]] * 2
    assert found["reason"] == "nobody qualifies"


@BOTH
async def test_a_fallback(proxy: Proxy, sdk: AsyncOpenAI, dialect: str, stream: bool) -> None:
    text = f"[sandbox provider={dialect} fail=500] [sandbox words=3]"
    found = await record(proxy, await ask(sdk, f"{dialect}_first", text, stream=stream))
    assert verdicts(found) == [(dialect, "failed"), (OTHER[dialect], "answered")]
    failed, served = found["attempts"]
    assert (failed["number"], failed["reason"], failed["status"]) == (1, "initial", 500)
    assert (failed["end_reason"], failed["first_chunk_ms"]) == ("upstream_error", None)
    assert failed["error"]["kind"] == "server"
    assert failed["error"]["type"]
    assert failed["provider_request_id"]
    assert (served["number"], served["reason"], served["status"]) == (2, "fallback", 200)
    assert served["error"] is None
    assert served["begin_ms"] >= failed["begin_ms"] + failed["duration_ms"] - 0.1
    assert (found["provider"], found["status"], found["error"]) == (OTHER[dialect], 200, None)


async def test_a_retry(proxy: Proxy, sdk: AsyncOpenAI, dialect: str) -> None:
    text = f"[sandbox fail=529 retry_after=0.1 times=1 key={unique()}] [sandbox words=3]"
    found = await record(proxy, await ask(sdk, f"{dialect}_only", text))
    assert verdicts(found) == [(dialect, "answered")]
    assert [one["reason"] for one in found["attempts"]] == ["initial", "retry"]
    assert [one["end_reason"] for one in found["attempts"]] == ["upstream_error", "completed"]
    first, second = found["attempts"]
    assert second["begin_ms"] >= first["begin_ms"] + first["duration_ms"] + 99


@BOTH
async def test_all_failed(proxy: Proxy, sdk: AsyncOpenAI, dialect: str, stream: bool) -> None:
    id = await ask(sdk, f"{dialect}_first", "[sandbox fail=529 retry_after=60]", stream=stream)
    found = await record(proxy, id)
    assert verdicts(found) == [(dialect, "failed"), (OTHER[dialect], "failed")]
    assert (found["status"], found["end_reason"]) == (503, "upstream_error")
    assert found["error"]["kind"] == "overloaded"
    assert found["finish_reason"] is None
    assert len(found["attempts"]) == 2


async def test_a_failure_that_no_other_provider_mends(
    proxy: Proxy, sdk: AsyncOpenAI, dialect: str
) -> None:
    found = await record(proxy, await ask(sdk, f"{dialect}_first", "[sandbox fail=400]"))
    assert verdicts(found) == [(dialect, "failed"), (OTHER[dialect], "not_needed")]
    assert (found["status"], found["error"]["kind"]) == (400, "invalid")


async def test_a_strict_request_that_is_refused(proxy: Proxy, sdk: AsyncOpenAI) -> None:
    strict = {"x-ep-strict": "true"}
    found = await record(proxy, await ask(sdk, "anthropic_only", seed=5, headers=strict))
    assert (found["strict"], found["status"], found["attempts"]) == (True, 400, [])
    (candidate,) = found["candidates"]
    assert (candidate["verdict"], candidate["reason"]) == ("rejected", "translation")
    assert candidate["missing"] == ["seed"]
    assert "strict" in candidate["detail"]
    assert found["error"] == {
        "kind": "TranslationError",
        "type": None,
        "code": "unsupported_parameter",
        "param": "seed",
    }


async def test_a_strict_request_goes_to_who_takes_all_of_it(proxy: Proxy, sdk: AsyncOpenAI) -> None:
    strict = {"x-ep-strict": "true"}
    found = await record(proxy, await ask(sdk, "anthropic_first", seed=5, headers=strict))
    assert verdicts(found) == [("anthropic", "rejected"), ("openai", "answered")]
    assert [one["reason"] for one in found["attempts"]] == ["initial"]


async def test_what_was_ignored_and_what_was_emulated(proxy: Proxy, sdk: AsyncOpenAI) -> None:
    long = "p" * 500
    id = await ask(
        sdk, "anthropic_only", seed=5, n=2, extra_body={long: 1, **{f"x{i}": 1 for i in range(80)}}
    )
    found = await record(proxy, id)
    (attempt,) = found["attempts"]
    assert attempt["ignored"] == found["ignored"]
    assert {"seed", long[:200]} <= set(found["ignored"])
    # What clients make up is bounded, and so is how much of it.
    assert len(found["ignored"]) == 50
    assert long[:201] not in str(found)
    assert found["emulated"] == ["n"]


@BOTH
async def test_several_choices_are_one_attempt(
    proxy: Proxy, sdk: AsyncOpenAI, stream: bool
) -> None:
    more = {"stream_options": {"include_usage": True}} if stream else {}
    text = "[sandbox words=4]"
    found = await record(proxy, await ask(sdk, "anthropic_only", text, n=3, stream=stream, **more))
    (attempt,) = found["attempts"]
    assert attempt["usage"]["completion_tokens"] == found["usage"]["completion_tokens"] == 12
    assert attempt["emulated"] == ["n"]


async def test_a_stream_that_broke_off(proxy: Proxy, sdk: AsyncOpenAI, dialect: str) -> None:
    text = "[sandbox words=30 eof=8]"
    found = await record(proxy, await ask(sdk, f"{dialect}_first", text, stream=True))
    # The client has seen a part of it: nobody else is asked.
    assert verdicts(found) == [(dialect, "failed"), (OTHER[dialect], "not_needed")]
    assert (found["status"], found["end_reason"]) == (200, "upstream_error")
    assert (found["error"]["kind"], found["error"]["code"]) == ("protocol", "upstream_incomplete")
    (attempt,) = found["attempts"]
    assert attempt["first_chunk_ms"] is not None
    assert attempt["chunks"] == found["chunks"] > 0
    assert found["finish_reason"] is None


def _streamed(persona: str, text: str) -> bytes:
    return json.dumps(body_of(persona, text, stream=True)).encode()


async def _leave(proxy: Proxy, persona: str, text: str, until: bytes | None) -> str:
    """Ask for a stream, and leave once something has come; return the request's id."""
    id = unique()
    async with await Connection.open(proxy) as connection:
        data = _streamed(persona, text)
        await connection.send(head(length=len(data), headers={"x-request-id": id}) + data)
        if until is None:
            await record(proxy, id, state="running")
        else:
            await connection.until(until)
    return id


async def test_a_client_that_leaves_before_the_first_token(proxy: Proxy, dialect: str) -> None:
    id = await _leave(proxy, f"{dialect}_first", "[sandbox delay=20]", None)
    found = await record(proxy, id)
    assert verdicts(found) == [(dialect, "abandoned"), (OTHER[dialect], "not_needed")]
    assert (found["status"], found["end_reason"]) == (None, "client_disconnect")
    (attempt,) = found["attempts"]
    assert (attempt["end_reason"], attempt["error"]) == ("client_disconnect", None)
    assert attempt["first_chunk_ms"] is None


async def test_a_client_that_leaves_in_the_middle(proxy: Proxy, dialect: str) -> None:
    text = "[sandbox words=500 gap=0.05]"
    id = await _leave(proxy, f"{dialect}_first", text, b'"content":"')
    found = await record(proxy, id)
    assert verdicts(found)[0] == (dialect, "answered")
    assert (found["status"], found["end_reason"]) == (200, "client_disconnect")
    assert found["error"] is None


async def test_a_request_that_is_being_served(proxy: Proxy, dialect: str) -> None:
    text = f"[sandbox provider={dialect} fail=500] [sandbox words=40 gap=0.2]"
    id = unique()
    data = _streamed(f"{dialect}_first", text)
    async with await Connection.open(proxy) as connection:
        await connection.send(head(length=len(data), headers={"x-request-id": id}) + data)
        await connection.until(b'"content":"')
        found = await record(proxy, id, state="running")
        assert list(found) == TOP
        assert (found["end_reason"], found["error"], found["status"]) == (None, None, None)
        assert verdicts(found) == [(dialect, "failed"), (OTHER[dialect], "under_way")]
        failed, served = found["attempts"]
        assert failed["end_reason"] == "upstream_error"
        assert (served["number"], served["reason"]) == (2, "fallback")
        assert (served["end_reason"], served["status"]) == (None, 200)
        assert served["first_chunk_ms"] > 0
        before = found["chunks"]

        async def goes_on() -> bool:
            return (await record(proxy, id, state="running"))["chunks"] > before

        await eventually(goes_on)
    assert (await record(proxy, id))["end_reason"] == "client_disconnect"


async def test_a_request_that_waits_for_its_first_token(proxy: Proxy, dialect: str) -> None:
    id = unique()
    data = _streamed(f"{dialect}_first", "[sandbox delay=20]")
    async with await Connection.open(proxy) as connection:
        await connection.send(head(length=len(data), headers={"x-request-id": id}) + data)

        async def waits() -> bool:
            return (await record(proxy, id, state="running"))["attempts"] != []

        await eventually(waits)
        await asyncio.sleep(0.5)
        found = await record(proxy, id, state="running")
        assert verdicts(found) == [(dialect, "under_way"), (OTHER[dialect], "not_needed")]
        (attempt,) = found["attempts"]
        assert (attempt["status"], attempt["first_chunk_ms"]) == (None, None)
        spent = found["timings"]
        # What it waits for the provider is not the proxy's own.
        assert spent["waited_ms"] >= 400
        assert spent["overhead_ms"] < spent["total_ms"] - 400


@pytest.fixture(scope="module")
def caching(providers: SandboxProcess) -> Iterator[Proxy]:
    policy = standard_policy(providers)
    for persona in policy["personas"].values():
        persona["cache"] = {"ttl": 300}
    with Proxy(env={"UPSTREAM_KEY": UPSTREAM_KEY}, policy=policy) as server:
        yield server


@BOTH
async def test_an_answer_that_is_given_again(caching: Proxy, dialect: str, stream: bool) -> None:
    marker = unique()
    async with new_sdk(caching) as sdk:
        first, second = [
            await record(caching, await ask(sdk, f"{dialect}_first", marker, stream=stream))
            for _ in range(2)
        ]
    assert first["cache"] == {"word": "miss", "age": None, "why_not": None}
    assert verdicts(first)[0] == (dialect, "answered")
    assert (second["cache"]["word"], second["attempts"]) == ("hit", [])
    assert second["cache"]["age"] >= 0
    assert verdicts(second) == [(dialect, "kept"), (OTHER[dialect], "not_needed")]
    assert second["provider"] == dialect
    assert second["answered_by"] == first["answered_by"]
    # Nobody has paid for it.
    assert second["usage"] is None


async def test_an_answer_that_may_not_be_kept(caching: Proxy) -> None:
    async with new_sdk(caching) as sdk:
        found = await record(caching, await ask(sdk, "openai_first", n=2))
    assert found["cache"] == {"word": "miss", "age": None, "why_not": "choices"}


@NEEDS_CLI
async def test_an_agents_run_is_told(providers: SandboxProcess, tmp_path: Any) -> None:
    with agent_server.serving(providers, tmp_path, pool=0) as served:
        answer = await chat(served.proxy, "claude")
        assert answer.status_code == 200, answer.text
        found = await record(served.proxy, answer.headers["x-request-id"])
    (attempt,) = found["attempts"]
    assert attempt["dialect"] == "claude_agent"
    assert attempt["agent"]["process"] == "spawned"
    assert set(attempt["agent"]) == {"process", "session", "turns", "cost"}

"""The log of a real server: each record is one line, as JSON or for people."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.http.failing_server import BUGS
from tests.http.wire import assert_error, chat, eventually, unique
from tests.providers import UPSTREAM_KEY, closed_port, standard_policy
from tests.quality.suites import suites_url
from tests.serving import Proxy, QualityServer, SandboxProcess, clean_environment
from tests.telemetry.otlp_sink import OtlpSink

CAPITAL = "Wq7canary"
LINE = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3} (DEBUG|INFO|WARNING|ERROR|CRITICAL) \S.*")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
FAILING = "tests.http.failing_server"
UPSTREAM = {"UPSTREAM_KEY": UPSTREAM_KEY}


@pytest.fixture
def readable(providers: SandboxProcess) -> Iterator[Proxy]:
    env = {**UPSTREAM, "EP_LOG_FORMAT": "text"}
    with Proxy(env=env, policy=standard_policy(providers)) as server:
        yield server


async def line_of(server: Proxy, request_id: str) -> str:
    """Return the line for people of one request."""
    found: list[str] = []

    async def written() -> bool:
        found[:] = [line for line in server.log().split("\n")[:-1] if request_id in line]
        return bool(found)

    await eventually(written)
    assert len(found) == 1, found
    assert LINE.fullmatch(found[0]), found[0]
    return found[0]


async def test_a_request_is_a_line_that_people_read(readable: Proxy, dialect: str) -> None:
    id = unique()
    text = f"[sandbox provider={dialect} fail=529] [sandbox words=12]"
    await chat(readable, f"{dialect}_first", text, headers={"x-request-id": id})
    line = await line_of(readable, id)
    other = {"openai": "anthropic/claude-sonnet-4-6", "anthropic": "openai/gpt-4.1"}[dialect]
    assert f" INFO {id} {dialect}_first → {other} 200 completed " in line
    assert re.search(r" \d+ ms 2 attempts \d+\+12 tokens$", line)


async def test_refusals_and_failures_are_lines_that_people_read(readable: Proxy) -> None:
    id = unique()
    await chat(readable, "openai_only", "[sandbox fail=400]", headers={"x-request-id": id})
    line = await line_of(readable, id)
    assert re.search(r"→ openai/gpt-4\.1 400 upstream_error \S+ \d+ ms 1 attempt$", line)
    await chat(readable, "openai_only", messages=1, headers={"x-request-id": (id := unique())})
    assert re.search(rf" INFO {id} 400 \S+$", await line_of(readable, id))
    await chat(readable, "nobody", headers={"x-request-id": (id := unique())})
    line = await line_of(readable, id)
    assert f"{id} nobody → nobody 404 completed model_not_found" in line


FORGED = [
    "x\n2026-01-01 00:00:00.000 INFO forged",
    "x\r\nforged",
    "x\u2028forged\u2029forged\x85forged",
    "x\x1b[2Jforged\x07\x7f\x9b31m\u202eforged",
    'x","event":"forged"}\n{"time":1,"event":"forged"}',
]


@pytest.mark.parametrize("persona", FORGED)
async def test_what_clients_send_begins_no_line_and_moves_no_cursor(
    readable: Proxy, proxy: Proxy, persona: str
) -> None:
    id = unique()
    odd: dict[str, Any] = {f"f{persona}": 1}
    for server in (readable, proxy):
        answer = await chat(server, "anthropic_only", headers={"x-request-id": id}, **odd)
        assert answer.status_code == 200
        assert_error(await chat(server, persona, headers={"x-request-id": f"{id}-2"}), 404)
    line = await line_of(readable, f"{id}-2")
    assert line.isprintable()
    assert "forged" in line
    # `splitlines` knows more line ends than most.
    assert all(LINE.fullmatch(one) for one in readable.log().splitlines())
    assert proxy.decision(id)["ignored"] == [f"f{persona}"]
    assert proxy.decision(f"{id}-2")["model"] == persona
    for one in proxy.log().splitlines():
        assert one.isascii()
        assert one.isprintable()
        assert json.loads(one)["event"] in ("request", "log")


async def test_a_record_of_a_request_has_its_ids(providers: SandboxProcess) -> None:
    policy = standard_policy(providers)
    policy["personas"]["openai_only"]["cache"] = {"ttl": 60}
    env = {**UPSTREAM, "EP_REDIS_URL": f"redis://127.0.0.1:{closed_port()}/0"}
    with OtlpSink() as sink, Proxy(env={**env, **sink.environment}, policy=policy) as server:
        id = unique()
        headers = {"x-request-id": id, "traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
        assert (await chat(server, "openai_only", headers=headers)).status_code == 200

        async def warned() -> bool:
            return bool(server.records("in Redis"))

        await eventually(warned)
        told = server.records("in Redis")[0]
        assert list(told) == ["time", "event", "level", "logger", "message", *IDS]
        assert (told["level"], told["logger"]) == ("warning", "execution_platform")
        assert (told["request_id"], told["trace_id"]) == (id, TRACE)
        assert server.decision(id)["trace_id"] == TRACE
        # One that is about no request has none.
        server.change_policy({**policy, "strict": True})
        server.send(signal.SIGHUP)

        async def taken() -> bool:
            return bool(server.records("serves from now on"))

        await eventually(taken, 20)
        assert not set(server.records("serves from now on")[0]) & set(IDS)


IDS = ["request_id", "trace_id"]


@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_an_exception_is_told_by_its_type_and_place_and_not_by_its_words(
    providers: SandboxProcess, log_format: str
) -> None:
    env = {**UPSTREAM, "EP_LOG_FORMAT": log_format}
    with Proxy(env=env, policy=standard_policy(providers), module=FAILING) as server:
        ids: dict[str, str] = {}
        for bug in BUGS:
            ids[bug] = unique()
            text = f"{bug} {CAPITAL}"
            answer = await chat(server, "openai_only", text, headers={"x-request-id": ids[bug]})
            assert answer.status_code == (500 if bug == "raise" else 200)
            assert bug != "raise" or CAPITAL not in answer.text

        async def told() -> bool:
            # Of a task that nobody asks, it is told when it is collected.
            await chat(server, "openai_only")
            log = server.log()
            return "Task exception was never retrieved" in log and "when it is over" in log

        await eventually(told, 20)
        server.stop()
        log = server.log()
        assert CAPITAL not in log
        for said in ("ExceptionGroup", "ValueError", "RuntimeError", "FileNotFound", "KeyError"):
            assert said in log
        assert "something is old" in log
        assert "ENOENT" in log
        if log_format == "json":
            _check_records(server, ids)
        else:
            for line in log.splitlines():
                assert LINE.fullmatch(line) or line.startswith("  "), line
            assert "  Traceback (most recent call last) of builtins.ExceptionGroup" in log
            assert re.search(r"^    \S+/engine\.py:\d+ in Engine\._drive|failing_server", log, re.M)
            assert f"request_id={ids['raise']}" in log


def _check_records(server: Proxy, ids: dict[str, str]) -> None:
    (told,) = server.records("internal error in request")
    assert (told["level"], told["request_id"]) == ("error", ids["raise"])
    found = told["exception"]
    assert found["type"] == "builtins.ExceptionGroup"
    assert found["traceback"][-1]["function"] == "_bug"
    assert found["traceback"][-1]["file"].endswith("failing_server.py")
    assert isinstance(found["traceback"][-1]["line"], int)
    assert [one["type"] for one in found["behind"]] == ["builtins.ValueError"]
    (told,) = server.records("while it is served")
    assert told["request_id"] == ids["later"]
    (told,) = server.records("when it is over")
    assert "request_id" not in told
    (told,) = server.records("the thread `")
    assert told["exception"]["behind"][0]["errno"] == "ENOENT"
    (told,) = server.records("nobody could catch it")
    assert told["exception"]["type"] == "builtins.KeyError"
    (told,) = server.records("something is old")
    assert (told["logger"], told["level"]) == ("py.warnings", "warning")
    assert told["request_id"] == ids["warning"]
    (told,) = server.records("do not fit its text")
    assert (told["logger"], told["exception"]["type"]) == ("some.library", "builtins.TypeError")


@pytest.mark.parametrize("log_format", ["json", "text"])
async def test_each_of_several_processes_writes_such_lines(
    providers: SandboxProcess, log_format: str
) -> None:
    env = {**UPSTREAM, "EP_LOG_FORMAT": log_format}
    server = Proxy("--workers", "2", env=env, policy=standard_policy(providers), module=FAILING)
    with server:
        try:

            async def answers() -> bool:
                try:
                    return (await chat(server, "openai_only")).status_code == 200
                except httpx.TransportError:
                    return False

            await eventually(answers, 40)
            for number in range(12):
                words = "raise" if number % 3 == 0 else "Hi"
                await chat(server, "openai_only", f"{words} {CAPITAL}")
        finally:
            server.stop(signal.SIGTERM, 30)
        assert CAPITAL not in server.log()
        if log_format == "json":
            assert len(server.records("internal error")) == 4
            assert len(server.decisions()) >= 13
        else:
            for line in server.log().splitlines():
                assert LINE.fullmatch(line) or line.startswith("  "), line
            assert server.log().count("internal error in request") == 4


async def test_quality_fabric_alone_writes_such_lines(tmp_path: Path) -> None:
    for log_format in ("json", "text"):
        env = {"EP_LOG_FORMAT": log_format}
        with QualityServer(tmp_path / f"{log_format}.db", env=env) as server:
            async with httpx.AsyncClient(trust_env=False, verify=False) as client:
                for project in ("%0aFAKE", "a%e2%80%a8FAKE"):
                    await client.get(suites_url(server.url, project))
            server.stop()
            assert server.log().count("FAKE") >= 1
            for line in server.log().splitlines():
                if log_format == "json":
                    assert json.loads(line)["logger"] == "execution_platform.quality"
                else:
                    assert LINE.fullmatch(line)


def _on_a_terminal(env: dict[str, str]) -> str:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "proxy", "serve", "--sandbox", "--port", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=theirs,
        text=True,
        env=clean_environment(env),
    )
    os.close(theirs)
    assert process.stdout is not None
    try:
        url = process.stdout.readline().split()[-1]
        with httpx.Client(trust_env=False, verify=False, timeout=30) as client:
            body: dict[str, Any] = {"model": "nobody", "messages": []}
            client.post(f"{url}/v1/chat/completions", json=body)
        seen = ""
        deadline = time.monotonic() + 20
        while "\n" not in seen:
            assert time.monotonic() < deadline
            if select.select([ours], [], [], 0.1)[0]:
                seen += os.read(ours, 65536).decode()
        return seen
    finally:
        process.terminate()
        process.communicate(timeout=20)
        os.close(ours)


def test_on_a_terminal_it_is_for_people_unless_told_otherwise() -> None:
    assert LINE.fullmatch(_on_a_terminal({}).splitlines()[0])
    line = _on_a_terminal({"EP_LOG_FORMAT": "json"}).splitlines()[0]
    assert json.loads(line)["event"] == "request"

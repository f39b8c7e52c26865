"""No key and nothing that client or model said is in the log, whatever fails, in either format."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.http.decision_records import bearer, record
from tests.http.failing_server import BUGS
from tests.http.wire import CHAT, Connection, body_of, chat, head, new_client
from tests.providers import closed_port, standard_policy
from tests.serving import Proxy, SandboxProcess

PROMPT, ANSWER, ARGUMENT, TOOL = "Wq7prompt", "Wq7answer", "Wq7argument", "Wq7tool"
CLIENT, WRONG, UPSTREAM = "ep-Wq7client", "ep-Wq7wrong", "sk-Wq7upstream"
COLLECTOR, REDIS, PERSONA = "Wq7collector", "Wq7redis", "Wq7persona"
CANARY = "Wq7"


@pytest.fixture(scope="module", params=["json", "text", "debug"])
def server(request: pytest.FixtureRequest, providers: SandboxProcess) -> Iterator[Proxy]:
    policy = standard_policy(providers, dead=closed_port())
    for persona in policy["personas"].values():
        persona["system_prompt"] = PERSONA
    policy["personas"]["openai_only"]["cache"] = {"ttl": 60}
    policy["live_gates"] = {"min_samples": 2}
    env = {
        "EP_CLIENT_KEYS": CLIENT,
        "UPSTREAM_KEY": UPSTREAM,
        "EP_LOG_FORMAT": "json" if request.param == "debug" else request.param,
        "EP_LOG_LEVEL": "debug" if request.param == "debug" else "info",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{closed_port()}",
        "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{COLLECTOR}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
        "EP_REDIS_URL": f"redis://:{REDIS}@127.0.0.1:{closed_port()}/0",
        "EP_BODY_TIMEOUT": "2",
        "EP_TIMEOUT": "2",
    }
    with Proxy(env=env, policy=policy, module="tests.http.failing_server") as process:
        yield process


TOOLS: list[dict[str, Any]] = [
    {
        "type": "function",
        "function": {
            "name": f"t_{TOOL}",
            "description": TOOL,
            "parameters": {"type": "object", "properties": {ARGUMENT: {"type": "string"}}},
        },
    }
]
FAILURES = [
    *(f"fail={status}" for status in (400, 401, 403, 404, 408, 409, 413, 429, 500, 529)),
    *("fail=quota", "fail=context", "fail=500 status_body", "error=3", "garbage=2", "cut=3"),
    *("eof=1", "stall=3", "unknown=1", "refuse=1", "delay=1", f"think={ANSWER}"),
    f'tool=t_{TOOL} args={{"x":"{ARGUMENT}"}}',
    f"say={ANSWER}",
]


async def _everything_fails(server: Proxy) -> list[int]:
    """Ask for every failure; return the statuses."""
    key = bearer(CLIENT)
    asks = [
        chat(
            server,
            persona,
            f"{PROMPT} [sandbox {failure}]",
            stream=stream,
            headers=key,
            tools=TOOLS,
            user=PROMPT,
            metadata={"k": PROMPT},
        )
        for failure in FAILURES
        for persona in ("short_openai_only", "short_anthropic_only", "anthropic_first")
        for stream in (True, False)
        # The last of them are patient.
        if persona.startswith("short") or not failure.startswith("stall")
    ]
    asks += [chat(server, "openai_only", f"{bug} {PROMPT}", headers=key) for bug in BUGS]
    asks += [
        chat(server, "dead_only", PROMPT, headers=key),
        chat(server, "openai_only", PROMPT, headers=bearer(WRONG)),
        chat(server, "openai_only", headers=key, messages=[{"role": PROMPT, "content": PROMPT}]),
        chat(server, "openai_only", headers=key, response_format={"type": PROMPT}),
        chat(server, "anthropic_only", PROMPT, headers={**key, "x-ep-strict": "true"}, seed=1),
        chat(server, "anthropic_only", PROMPT, headers={**key, "x-ep-strict": PROMPT}),
        chat(
            server,
            "anthropic_only",
            [  # type: ignore[arg-type]
                {"type": "image_url", "image_url": {"url": f"https://127.0.0.1/{PROMPT}.png"}},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PROMPT}"}},
            ],
            headers=key,
        ),
    ]
    statuses: list[int] = []
    for start in range(0, len(asks), 16):
        answers = await asyncio.gather(*asks[start : start + 16])
        statuses += [answer.status_code for answer in answers]
    return statuses


async def test_nothing_that_was_said_and_no_key_is_in_the_log(server: Proxy) -> None:
    statuses = await _everything_fails(server)
    assert {200, 400, 401, 404, 413, 429, 500, 502, 503, 504} <= set(statuses)
    async with new_client(server) as client:
        headers = {**bearer(CLIENT), "content-type": "application/json"}
        for body in (PROMPT, f'{{"{PROMPT}', f'{{"model": "a", "messages": "{PROMPT}"}}'):
            assert (await client.post(CHAT, content=body, headers=headers)).status_code == 400
        for path in (f"/v1/ep/decisions/{WRONG}", f"/v1/models/{PROMPT}", f"/{PROMPT}"):
            await client.get(path, headers=headers)
    for text in ("[sandbox delay=5]", "[sandbox words=300 gap=0.05]"):
        body = json.dumps(body_of("openai_only", f"{PROMPT} {text}", stream=True)).encode()
        async with await Connection.open(server) as connection:
            await connection.send(head(length=len(body), headers=bearer(CLIENT)) + body)
            await asyncio.sleep(0.3)
    async with await Connection.open(server) as connection:
        await connection.send(f"{PROMPT} {PROMPT}\r\n\r\n".encode())
        await connection.rest()
    last = await chat(server, "openai_only", "Hi", headers=bearer(CLIENT))
    await record(server, last.headers["x-request-id"], headers=bearer(CLIENT))
    # The collector and Redis are not there: what is said of that is in it, too.
    await asyncio.sleep(1)
    server.stop()
    log = server.log()
    assert "internal error in request" in log
    assert "in Redis" in log
    assert len(log.splitlines()) > len(statuses)
    # A client's path and a model that does not exist are in nobody's line.
    assert [line for line in log.splitlines() if CANARY in line] == []

"""The gate lets through what a request is worth, and nothing else; no CLI is needed to see it."""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any, cast

import httpx
import pytest

from policy.providers import Timeouts
from proxy.call import Call
from proxy.http import HttpClient, HttpTransport
from proxy.providers.claude_agent import gate as gates
from proxy.providers.claude_agent.errors import UnknownCli
from proxy.providers.claude_agent.gate import Door, Gate
from proxy.sandbox.app import journal_of
from proxy.sandbox.server import SandboxServer
from proxy.ticker import Ticker
from tests.claude_agent.test_cancellation import until
from translators.claude_agent.request import AgentRequest
from translators.errors import ProviderError

KEY = "sk-ant-the-real-one"
MODEL = "claude-sonnet-5"

Json = dict[str, Any]


def told(text: str = "Hi", **extra: Any) -> AgentRequest:
    turn = {"role": "user", "content": [{"type": "text", "text": text}]}
    return AgentRequest(MODEL, ("Be brief.",), (turn,), (), {"max_tokens": 10, **extra})


def body_of(request: AgentRequest, **changes: Any) -> Json:
    """Return the call that a faithful CLI makes, which adds things of its own."""
    return {
        "model": request.model,
        "system": [
            {"type": "text", "text": "You are a Claude agent."},
            *({"type": "text", "text": text} for text in request.system),
        ],
        "messages": [
            {
                "role": turn["role"],
                "content": [
                    {**block, "cache_control": {"type": "ephemeral"}} for block in turn["content"]
                ],
            }
            for turn in request.turns
        ],
        **request.extra,
        "stream": True,
        **changes,
    }


class Setting:
    """A gate before a sandbox, and a client that stands in for the CLI."""

    def __init__(
        self, gate: Gate, sandbox: SandboxServer, http: HttpClient, client: httpx.AsyncClient
    ) -> None:
        self.gate, self.sandbox, self.http, self.client = gate, sandbox, http, client

    @property
    def calls(self) -> list[Json]:
        return list(journal_of(self.sandbox.app).requests)

    @property
    def open(self) -> int:
        return journal_of(self.sandbox.app).tally("anthropic").open

    async def post(self, door: Door, body: Json | bytes, **headers: str) -> httpx.Response:
        url = f"{door.url}/v1/messages?beta=true"
        own = {"x-api-key": "held-by-the-gate", "anthropic-version": "2023-06-01"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return await self.client.post(url, content=data, headers={**own, **headers})


@pytest.fixture
async def setting() -> AsyncGenerator[Setting]:
    ticker = Ticker()
    http = HttpClient(ticker)
    async with SandboxServer() as sandbox, httpx.AsyncClient(timeout=20) as client:
        url = sandbox.anthropic_base_url
        api = HttpTransport(http, url, {"x-api-key": KEY}, "", Timeouts())
        gate = Gate(api, has_key=True)
        await gate.open()
        try:
            yield Setting(gate, sandbox, http, client)
        finally:
            await gate.aclose()
            await http.aclose()
            ticker.close()


async def test_one_call_passes_and_the_next_does_not(setting: Setting):
    door, request, call = setting.gate.door(), told(), Call()
    door.expect(request, call)
    answer = await setting.post(door, body_of(request))
    assert answer.status_code == 200 and b"message_stop" in answer.content
    assert answer.headers["content-type"].startswith("text/event-stream")
    again = await setting.post(door, body_of(request))
    assert again.status_code == 403
    assert len(setting.calls) == 1
    assert call.status == 200 and call.request_id


async def test_an_agents_calls_go_on_with_what_it_was_told(setting: Setting):
    door, request = setting.gate.door(), told()
    door.expect(request, Call(), calls=2)
    first = body_of(request)
    answer = {"role": "assistant", "content": [{"type": "text", "text": "Hm."}]}
    more = {"role": "user", "content": [{"type": "text", "text": "More."}]}
    second = {**first, "messages": [*first["messages"], answer, more]}
    statuses = [(await setting.post(door, body)).status_code for body in (first, second, second)]
    assert statuses == [200, 200, 403]
    assert door.exhausted and door.error is None


@pytest.mark.parametrize(
    "change", [{"model": "claude-opus-5-5"}, {"messages": []}, {"max_tokens": 1}, {"system": []}]
)
async def test_what_an_agents_tool_makes_of_its_address_does_not_pass(
    setting: Setting, change: Json
):
    """It knows the door's address, as the CLI does; its run goes on all the same."""
    door, request = setting.gate.door(), told()
    door.expect(request, Call(), calls=2)
    first = body_of(request)
    statuses = [
        (await setting.post(door, body)).status_code
        for body in (first, {**first, **change}, b"no JSON", first)
    ]
    assert statuses == [200, 403, 403, 200]
    assert len(setting.calls) == 2
    assert door.error is None


@pytest.mark.parametrize("cut", range(0, 14))
def test_a_tool_is_known_before_the_cli_hears_of_it(cut: int):
    door, call = Gate(cast("HttpTransport", None), has_key=True).door(), Call()
    door.expect(told(), call, calls=2)
    piece = b'{"type":"tool_use","id":"toolu_1"}'
    door.passes(b'{"type":"text_delta","text":"a \\"tool_use\\" b"}')
    assert not call.had_effects
    for part in (piece[:cut], piece[cut:]):
        door.passes(part)
    assert call.had_effects


def test_a_tool_is_known_by_bytes_that_come_one_by_one():
    door, call = Gate(cast("HttpTransport", None), has_key=True).door(), Call()
    door.expect(told(), call, calls=2)
    for byte in b'{"type":"tool_use"':
        assert not call.had_effects
        door.passes(bytes([byte]))
    assert call.had_effects


def test_a_clients_tool_has_no_effects():
    door, call = Gate(cast("HttpTransport", None), has_key=True).door(), Call()
    door.expect(told(), call)
    door.passes(b'{"type":"tool_use","id":"toolu_1"}')
    assert not call.had_effects


async def test_nothing_passes_before_a_request_and_after_its_end(setting: Setting):
    door, request = setting.gate.door(), told()
    assert (await setting.post(door, body_of(request))).status_code == 403
    door.expect(request, Call())
    door.close()
    assert (await setting.post(door, body_of(request))).status_code == 404
    assert setting.calls == []


@pytest.mark.parametrize("path", ["", "/v1/messages/count_tokens", "/v1/models", "/api/hello"])
async def test_other_paths_lead_nowhere(setting: Setting, path: str):
    door = setting.gate.door()
    door.expect(told(), Call())
    assert (await setting.client.post(door.url + path, json={})).status_code == 404
    assert (await setting.client.get(f"{door.url}/v1/messages")).status_code == 404
    stranger = f"{setting.gate.url}/somebody/v1/messages"
    assert (await setting.client.post(stranger, json={})).status_code == 404
    assert setting.calls == []


async def test_the_key_is_put_in_and_the_cli_adds_no_credential_nor_trace(setting: Setting):
    door, request = setting.gate.door(), told()
    door.expect(request, Call(carrier={"traceparent": "00-1-2-01"}))
    sent = {"authorization": "Bearer other", "traceparent": "00-9-9-01", "baggage": "a=b"}
    await setting.post(door, body_of(request), **sent, **{"anthropic-beta": "some-beta"})
    (call,) = setting.calls
    headers = call["headers"]
    assert headers["x-api-key"] == KEY
    assert headers["traceparent"] == "00-1-2-01"
    assert headers["anthropic-beta"] == "some-beta"
    assert "authorization" not in headers and "baggage" not in headers


async def test_a_login_passes_as_it_comes(setting: Setting):
    api = HttpTransport(setting.http, setting.sandbox.anthropic_base_url, {}, "", Timeouts())
    gate = Gate(api, has_key=False)
    await gate.open()
    door, request = gate.door(), told()
    door.expect(request, Call())
    headers = {"authorization": "Bearer sk-ant-oat-1", "anthropic-version": "2023-06-01"}
    url = f"{door.url}/v1/messages"
    answer = await setting.client.post(url, json=body_of(request), headers=headers)
    await gate.aclose()
    assert answer.status_code == 200
    assert setting.calls[0]["headers"]["authorization"] == "Bearer sk-ant-oat-1"


_TURN = {"role": "user", "content": [{"type": "text", "text": "More"}]}
LACKING: dict[str, tuple[Json, str]] = {
    "another model": ({"model": "claude-opus-5"}, "the model"),
    "no prompt": ({"system": [{"type": "text", "text": "You are a Claude agent."}]}, "the system"),
    "no prompt at all": ({"system": None}, "the system"),
    "no turn": ({"messages": []}, "turn 0"),
    "another text": ({"messages": [_TURN]}, "turn 0"),
    "one turn more": ({"messages": [*body_of(told())["messages"], _TURN]}, "turn 1"),
    "no parameter": ({"max_tokens": 64_000}, "`max_tokens`"),
}


@pytest.mark.parametrize("lack", LACKING)
async def test_a_call_that_lacks_what_was_told_does_not_pass(setting: Setting, lack: str):
    changes, what = LACKING[lack]
    failures: list[int] = []
    door, request = setting.gate.door(), told()
    door.on_failure = lambda: failures.append(1)
    door.expect(request, Call())
    answer = await setting.post(door, body_of(request, **changes))
    assert answer.status_code == 403
    assert isinstance(door.error, UnknownCli) and what in door.error.message
    assert failures == [1] and setting.calls == [] and not door.admitted.is_set()


async def test_a_tool_that_is_missing_is_noticed(setting: Setting):
    tool = {"name": "weather", "input_schema": {"type": "object"}}
    request = AgentRequest(MODEL, (), told().turns, ("weather",), {"tools": [tool]})
    door = setting.gate.door()
    door.expect(request, Call())
    await setting.post(door, body_of(request, tools=[]))
    assert door.error is not None and "a tool" in door.error.message


async def test_a_call_that_is_no_json_or_too_large_does_not_pass(
    setting: Setting, monkeypatch: pytest.MonkeyPatch
):
    door = setting.gate.door()
    door.expect(told(), Call())
    answer = await setting.client.post(f"{door.url}/v1/messages", content=b"{")
    assert answer.status_code == 403 and isinstance(door.error, UnknownCli)
    monkeypatch.setattr(gates, "MAX_BODY", 100)
    large = setting.gate.door()
    large.expect(told(), Call())
    answer = await setting.client.post(f"{large.url}/v1/messages", content=b" " * 101)
    assert answer.status_code == 413
    assert large.error is not None and large.error.kind == "too_large"
    assert setting.calls == []


async def test_a_refusal_of_the_api_is_read_here(setting: Setting):
    failures: list[int] = []
    request = told("Hi [sandbox fail=529 retry_after=3]")
    door, call = setting.gate.door(), Call()
    door.on_failure = lambda: failures.append(1)
    door.expect(request, call)
    with pytest.raises(httpx.RemoteProtocolError):
        await setting.post(door, body_of(request))
    assert door.error is not None
    assert (door.error.kind, door.error.retry_after) == ("overloaded", 3.0)
    assert call.status == 529 and failures == [1]
    # Whatever the CLI asks next, it is over.
    assert (await setting.post(door, body_of(request))).status_code == 403


async def test_an_answer_that_breaks_off_breaks_off_for_the_cli(setting: Setting):
    failures: list[int] = []
    request = told("Hi [sandbox words=20 gap=0.01 cut=6]")
    door = setting.gate.door()
    door.on_failure = lambda: failures.append(1)
    door.expect(request, Call())
    with pytest.raises(httpx.RemoteProtocolError):
        await setting.post(door, body_of(request))
    assert door.error is not None and door.error.kind == "network"
    assert failures == []  # The CLI still has to tell what came before.


async def test_a_door_that_closes_ends_its_call(setting: Setting):
    request = told("Hi [sandbox words=5 stall=3]")
    door = setting.gate.door()
    door.expect(request, Call())
    asked = asyncio.create_task(setting.post(door, body_of(request)))
    await until(lambda: setting.open == 1, 10)
    door.close()
    await until(lambda: setting.open == 0, 1)
    with pytest.raises(httpx.RemoteProtocolError):
        await asked
    assert door.error is None


async def test_a_cli_that_hangs_up_ends_its_call(setting: Setting):
    """Its process may die without us; the door is closed as soon as that is known."""
    request = told("Hi [sandbox words=5 stall=3]")
    door = setting.gate.door()
    door.expect(request, Call())
    asked = asyncio.create_task(setting.post(door, body_of(request)))
    await until(lambda: setting.open == 1, 10)
    asked.cancel()
    await asyncio.wait([asked])
    await until(lambda: setting.open == 0, 1)


async def test_names_of_doors_are_not_to_be_guessed(setting: Setting):
    doors = [setting.gate.door() for _ in range(50)]
    assert len({door.name for door in doors}) == 50
    assert min(len(door.name) for door in doors) >= 32
    assert json.dumps(setting.gate.url).count("127.0.0.1") == 1


async def test_a_gate_that_is_closed_is_not_listening(setting: Setting):
    door = setting.gate.door()
    door.expect(told(), Call())
    await setting.gate.aclose()
    assert setting.gate.doors == 0
    with pytest.raises((httpx.ConnectError, httpx.RemoteProtocolError)):
        await setting.post(door, body_of(told()))


def test_an_error_names_what_to_do():
    error: ProviderError = UnknownCli.left_out("a tool")
    assert "comes with the Claude Agent SDK" in error.message and error.kind == "protocol"

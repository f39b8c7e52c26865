"""The provider against the sandbox, over a socket: both sides of the wire at once."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from policy.schema import ProviderRow
from proxy.call import Call
from proxy.http import HttpClient
from proxy.providers.anthropic_messages import create
from proxy.providers.over_http import HttpProvider
from proxy.sandbox.anthropic_messages.binding import dropped_thoughts
from proxy.sandbox.server import SandboxServer
from proxy.ticker import Ticker
from tests.translators.chat_requests import calls, chat_of, context_for, result, user
from tests.translators.streams import Json, accumulate
from translators.json_contract import JsonCheck
from translators.protocol import MAX_FOLLOW_UPS

OLD, ADAPTIVE, BOUND = "claude-haiku-4-5", "claude-sonnet-5", "claude-opus-5-5"
TOOL: Json = {
    "type": "function",
    "function": {
        "name": "get.weather",
        "strict": True,
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


class Sandbox:
    """A provider whose service is the sandbox, and what has arrived there."""

    def __init__(self, server: SandboxServer, client: HttpClient) -> None:
        row = {"dialect": "anthropic_messages", "model": OLD, "base_url": server.anthropic_base_url}
        self.provider: HttpProvider = create(
            ProviderRow.model_validate(row), key="k", client=client
        )
        self._server = server

    async def bodies(self) -> list[Json]:
        async with httpx.AsyncClient() as client:
            found = await client.get(f"{self._server.base_url}/_sandbox/requests")
        entries: Any = found.json()
        return [entry["body"] for entry in entries if entry["path"].endswith("/messages")]

    async def ask(self, model: str, *messages: Json, stream: bool, **fields: Any) -> Json:
        """Return the choice, with what is known of the answer under `outcome`."""
        chat = chat_of({"model": "p", "messages": list(messages), "stream": stream, **fields})
        prepared = self.provider.prepare(chat, model=model, context=context_for(chat))
        call = Call()
        if not stream:
            completion = await prepared.complete(call)
            choice, outcome = json.loads(completion.data)["choices"][0], completion.outcome
        else:
            source = await prepared.open(call)
            try:
                chunks = [chunk async for some in source for chunk in some]
            finally:
                await source.aclose()
            choice = json.loads(accumulate(chunks).choices[0].to_json(warnings=False))
            outcome = source.outcome
        return {**choice, "outcome": outcome, "report": prepared.report, "hops": call.follow_ups}


@pytest.fixture
async def sandbox() -> AsyncIterator[Sandbox]:
    async with SandboxServer() as server:
        client = HttpClient(Ticker())
        yield Sandbox(server, client)
        await client.aclose()


both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
every = pytest.mark.parametrize("model", [OLD, ADAPTIVE, BOUND])


# --- the server's search -----------------------------------------------------------------------

SEARCH: Json = {
    "search_context_size": "low",
    "user_location": {"type": "approximate", "approximate": {"country": "NO", "city": "Oslo"}},
}


@both
@every
async def test_search_is_cited(sandbox: Sandbox, model: str, stream: bool):
    choice = await sandbox.ask(model, user("Who won?"), stream=stream, web_search_options=SEARCH)
    message = choice["message"]
    assert not message.get("tool_calls")
    assert choice["finish_reason"] == "stop"
    (annotation,) = message["annotations"]
    cited = annotation["url_citation"]
    span = message["content"][cited["start_index"] : cited["end_index"]]
    assert span.startswith("Sandbox answer")
    assert cited["url"] == "https://example.com/sandbox-search"
    (body,) = await sandbox.bodies()
    assert body["tools"] == [
        {
            "type": "web_search_20260318",
            "name": "web_search",
            "max_uses": 1,
            "allowed_callers": ["direct"],
            "user_location": {"type": "approximate", "city": "Oslo", "country": "NO"},
        }
    ]


@both
@pytest.mark.parametrize("times", [1, 3])
async def test_paused_turn_is_gone_on_with(sandbox: Sandbox, times: int, stream: bool):
    ask = user(f"[sandbox stop_reason=pause_turn think times={times}] Who won?")
    choice = await sandbox.ask(
        ADAPTIVE, ask, stream=stream, web_search_options={}, reasoning_effort="low"
    )
    message = choice["message"]
    assert choice["hops"] == times
    assert choice["finish_reason"] == "stop"
    assert message["content"].count("Let me search.") == times
    assert len(message["annotations"]) == 1
    cited = message["annotations"][0]["url_citation"]
    assert message["content"][cited["start_index"] :].startswith("Sandbox answer")
    bodies = await sandbox.bodies()
    assert len(bodies) == times + 1
    # The sandbox checks that what it said comes back unchanged; here, that all of it does.
    assert bodies[-1]["messages"][:1] == bodies[0]["messages"]
    kinds = [block["type"] for block in bodies[-1]["messages"][1]["content"]]
    assert kinds == ["thinking", "text", "server_tool_use", "web_search_tool_result"] * times
    usage = choice["outcome"].usage
    assert usage.prompt_tokens > 0 and usage.total_tokens > usage.prompt_tokens


@both
async def test_pauses_have_an_end(sandbox: Sandbox, stream: bool):
    ask = user("[sandbox stop_reason=pause_turn] Who won?")
    choice = await sandbox.ask(ADAPTIVE, ask, stream=stream, web_search_options={})
    assert choice["hops"] == MAX_FOLLOW_UPS
    assert choice["finish_reason"] == "length"
    assert choice["message"]["content"].count("Let me search.") == MAX_FOLLOW_UPS + 1


# --- reasoning ---------------------------------------------------------------------------------


def sent_back(message: Json, keep: str) -> Json:
    """Return an answer as a client sends it back."""
    found: list[Json] = []
    for call in message["tool_calls"]:
        kept: Json = {"id": call["id"], "type": "function", "function": dict(call["function"])}
        kept["function"].pop("parsed_arguments", None)
        if keep != "ids" and call.get("extra_content"):
            kept["extra_content"] = call["extra_content"]
        found.append(kept)
    again: Json = {"role": "assistant", "content": message["content"], "tool_calls": found}
    if keep == "all":
        again["reasoning_content"] = message["reasoning_content"]
        again["reasoning_details"] = message["reasoning_details"]
    return again


@both
@every
@pytest.mark.parametrize("keep", ["all", "calls", "ids"])
@pytest.mark.parametrize("hidden", ["", "redacted"])
async def test_thoughts_come_back_before_their_calls(
    sandbox: Sandbox, model: str, keep: str, hidden: str, stream: bool
):
    ask = user(f"[sandbox think=Hmm {hidden} tools=2] Oslo?")
    fields: Json = {"tools": [TOOL], "reasoning_effort": "low", "max_tokens": 5000}
    choice = await sandbox.ask(model, ask, stream=stream, **fields)
    message = choice["message"]
    assert message["tool_calls"][0]["function"]["name"] == "get.weather"
    assert [bool(call.get("extra_content")) for call in message["tool_calls"]] == [True, False]
    first = message["tool_calls"][0]
    assert choice["outcome"].reasoning == {first["id"]: first["extra_content"]}
    results = [result(call["id"]) for call in message["tool_calls"]]
    last = await sandbox.ask(
        model, ask, sent_back(message, keep), *results, stream=stream, **fields
    )
    assert last["finish_reason"] == "stop" or last["message"]["tool_calls"]
    assert "messages[].reasoning_content" not in last["report"].ignored
    before, after = await sandbox.bodies()
    assert after["messages"][: len(before["messages"])] == before["messages"]
    kinds = [block["type"] for block in after["messages"][1]["content"]]
    thoughts = ["thinking", *(["redacted_thinking"] if hidden else [])]
    assert kinds == [*(thoughts if keep != "ids" else []), "tool_use", "tool_use"]
    assert dropped_thoughts(after) == []
    if keep == "ids" and model == OLD:
        # A budget needs the thoughts of the answer whose calls were carried out.
        assert "thinking" not in after


@both
async def test_thoughts_of_another_conversation_are_dropped_not_refused(
    sandbox: Sandbox, stream: bool
):
    ask = user("[sandbox think=Hmm tools=1] Oslo?")
    choice = await sandbox.ask(BOUND, ask, stream=stream, tools=[TOOL])
    again = sent_back(choice["message"], "all")
    answer = result(again["tool_calls"][0]["id"])
    last = await sandbox.ask(BOUND, user("Bergen?"), again, answer, stream=stream, tools=[TOOL])
    assert last["finish_reason"] == "stop"
    assert len(dropped_thoughts((await sandbox.bodies())[-1])) == 1


@both
@every
async def test_foreign_thoughts_are_left_out(sandbox: Sandbox, model: str, stream: bool):
    foreign = calls("call_1", extra_content={"google": {"thought_signature": "x"}})
    foreign["reasoning_details"] = [
        {"type": "reasoning.text", "text": "T", "signature": "s", "format": "google-gemini-v1"},
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"},
    ]
    last = await sandbox.ask(
        model,
        user("Oslo?"),
        foreign,
        result("call_1"),
        stream=stream,
        reasoning_effort="high",
        tools=[TOOL],
    )
    assert last["finish_reason"] == "stop"


# --- structured output, forced calls -----------------------------------------------------------

SCHEMA: Json = {
    "$defs": {"P": {"properties": {"name": {"type": ["string", "null"]}}, "required": ["name"]}},
    "properties": {"people": {"type": "array", "items": {"$ref": "#/$defs/P"}, "maxItems": 3}},
    "required": ["people"],
}


@both
@every
async def test_json_schema(sandbox: Sandbox, model: str, stream: bool):
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    choice = await sandbox.ask(model, user("Who?"), stream=stream, response_format=form)
    people = json.loads(choice["message"]["content"])["people"]
    assert list(people[0]) == ["name"]


async def test_json_without_a_native_mode_is_asked_for_and_to_be_checked(sandbox: Sandbox):
    chat = chat_of(
        {"model": "p", "messages": [user("x")], "response_format": {"type": "json_object"}}
    )
    prepared = sandbox.provider.prepare(chat, model=OLD, context=context_for(chat))
    assert prepared.contract is not None
    assert JsonCheck(prepared.contract).find('Here: {"a": 1}').json == '{"a": 1}'


@both
@every
@pytest.mark.parametrize("named", [True, False])
async def test_forced_call(sandbox: Sandbox, model: str, named: bool, stream: bool):
    choice: Any = {"type": "function", "function": {"name": "get.weather"}} if named else "required"
    ask = user("[sandbox tools=1] Oslo?")
    answer = await sandbox.ask(model, ask, stream=stream, tools=[TOOL], tool_choice=choice)
    assert answer["finish_reason"] == "tool_calls"
    assert ("tool_choice" in answer["report"].emulated) is (model == BOUND)

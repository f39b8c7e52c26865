"""The service's own search, turns that pause, and thoughts that belong to a conversation."""

from typing import Any

import pytest
from anthropic import AsyncAnthropic, BadRequestError
from anthropic.types import Message

from .conftest import Wire

_SEARCH: Any = {"type": "web_search_20260318", "name": "web_search", "max_uses": 2}
_PAUSE = "Who won? [sandbox stop_reason=pause_turn times=1]"


async def _said(client: AsyncAnthropic, *turns: Any, stream: bool, **fields: Any) -> Message:
    request: Any = {
        "model": "claude-sonnet-4-6",
        "max_tokens": 4000,
        "messages": list(turns),
        "tools": [_SEARCH],
        **fields,
    }
    if not stream:
        return await client.messages.create(stream=False, **request)
    async with client.messages.stream(**request) as events:
        return await events.get_final_message()


def _user(text: str) -> Any:
    return {"role": "user", "content": text}


def _turn(message: Message) -> Any:
    content = [block.model_dump(exclude={"parsed_output"}) for block in message.content]
    return {"role": "assistant", "content": content}


both = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])


@both
async def test_search_is_cited(anthropic: AsyncAnthropic, stream: bool) -> None:
    answer = await _said(anthropic, _user("Who won?"), stream=stream)
    kinds = [block.type for block in answer.content]
    assert kinds == ["text", "server_tool_use", "web_search_tool_result", "text", "text"]
    call, result, cited = answer.content[1], answer.content[2], answer.content[4]
    assert call.type == "server_tool_use" and result.type == "web_search_tool_result"
    assert call.input == {"query": "Who won?"} and call.id == result.tool_use_id
    assert cited.type == "text" and cited.citations is not None
    (citation,) = cited.citations
    assert citation.type == "web_search_result_location"
    assert answer.stop_reason == "end_turn"


async def test_without_leave_nothing_is_searched(anthropic: AsyncAnthropic) -> None:
    answer = await _said(anthropic, _user("Who won?"), stream=False, tool_choice={"type": "none"})
    assert [block.type for block in answer.content] == ["text"]


@both
async def test_paused_turn_is_gone_on_with(anthropic: AsyncAnthropic, stream: bool) -> None:
    first = await _said(anthropic, _user(_PAUSE), stream=stream)
    assert first.stop_reason == "pause_turn"
    assert first.content[-1].type == "web_search_tool_result"
    rest = await _said(anthropic, _user(_PAUSE), _turn(first), stream=stream)
    assert rest.stop_reason == "end_turn"
    assert [block.type for block in rest.content] == ["text", "text"]


@pytest.mark.parametrize(
    ("place", "change"),
    [
        (0, {"text": "Let me look."}),
        (1, {"input": {"query": "x"}}),
        (2, {"tool_use_id": "srvtoolu_x"}),
        (0, None),
        (2, None),
    ],
    ids=["text", "input", "result", "no text", "no result"],
)
async def test_paused_turn_must_come_back_as_it_was(
    anthropic: AsyncAnthropic, place: int, change: Any
) -> None:
    turn = _turn(await _said(anthropic, _user(_PAUSE), stream=False))
    changed = {} if change is None else {**turn["content"][place], **change}
    turn["content"][place : place + 1] = [changed] if changed else []
    with pytest.raises(BadRequestError, match="cannot be modified"):
        await _said(anthropic, _user(_PAUSE), turn, stream=False)


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"max_uses": 0}, "max_uses"),
        ({"depth": 1}, "depth: Extra inputs are not permitted"),
        ({"user_location": {"type": "approximate", "street": "x"}}, "street: Extra inputs"),
        ({"user_location": {"city": "Oslo"}}, "user_location.type: Field required"),
    ],
)
async def test_options_are_checked(wire: Wire, options: Any, fault: str) -> None:
    answer = await wire.anthropic(tools=[{**_SEARCH, **options}])
    assert answer.status_code == 400
    assert fault in answer.json()["error"]["message"]


_DROP: Any = {"type": "adaptive", "block_binding": {"prefix_mismatch_behavior": "drop_block"}}
_BETA = "thinking-binding-controls-2026-08-01"


async def test_thoughts_belong_to_their_conversation(anthropic: AsyncAnthropic, wire: Wire) -> None:
    fields: Any = {"model": "claude-opus-5-5", "tools": [], "thinking": {"type": "adaptive"}}
    turn = _turn(await _said(anthropic, _user("A?"), stream=False, **fields))
    assert turn["content"][0]["type"] == "thinking"
    await _said(anthropic, _user("A?"), turn, _user("More?"), stream=False, **fields)
    for changed in ([_user("B?")], [_user("A?"), _user("B?")]):
        with pytest.raises(BadRequestError, match="bound to a different conversation"):
            await _said(anthropic, *changed, turn, _user("More?"), stream=False, **fields)
    with pytest.raises(BadRequestError, match="bound to a different conversation"):
        await _said(
            anthropic, _user("A?"), turn, _user("More?"), stream=False, system="s", **fields
        )
    # Told to drop them, or left out, or with a model that does not mind: all is well.
    turns = [_user("B?"), turn, _user("More?")]
    told = await wire.anthropic(model="claude-opus-5-5", messages=turns, thinking=_DROP, beta=_BETA)
    assert told.status_code == 200
    assert (await wire.anthropic(model="claude-opus-4-8", messages=turns)).status_code == 200
    left_out = {**turn, "content": turn["content"][1:]}
    turns = [_user("B?"), left_out, _user("More?")]
    assert (await wire.anthropic(model="claude-opus-5-5", messages=turns)).status_code == 200

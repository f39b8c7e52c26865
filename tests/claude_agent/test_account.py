"""What the CLI tells beside its answer, frame by frame, odd ones too."""

from typing import Any

import pytest

from proxy.call import AgentFacts, Call
from proxy.providers.claude_agent.account import Account
from tests.claude_agent.test_agent import Watch

Json = dict[str, Any]
INIT = {"type": "system", "subtype": "init", "session_id": "s-1"}
RESULT = {"type": "result", "num_turns": 3, "total_cost_usd": 0.5}


def event(**fields: Any) -> Json:
    return {"type": "stream_event", "parent_tool_use_id": None, "event": fields}


def begun(index: int, id: str) -> list[Json]:
    block = {"type": "tool_use", "id": id, "name": "Read"}
    return [
        event(type="content_block_start", index=index, content_block=block),
        event(type="content_block_stop", index=index),
    ]


def result(id: str, **fields: Any) -> Json:
    block = {"type": "tool_result", "tool_use_id": id, **fields}
    return {"type": "user", "parent_tool_use_id": None, "message": {"content": [block]}}


def told(*frames: Json, runs: bool = True) -> tuple[Call, Watch]:
    watch = Watch()
    call = Call(watch=watch)
    account = Account(call, parked=True, runs=runs)
    for frame in frames:
        account.take(frame)
    return call, watch


def test_session_turns_and_cost():
    call, _ = told(INIT, INIT, RESULT)
    assert call.agent == AgentFacts("parked", "s-1", 3, 0.5)


def test_a_tool_runs_from_its_last_word_to_its_result():
    first, last = begun(0, "toolu_1")
    call, watch = told(first)
    assert watch.begun == {} and not call.had_effects
    call, watch = told(first, last, result("toolu_1"))
    assert watch.outcome == [("Read", False)] and call.had_effects
    _, watch = told(*begun(0, "toolu_1"), *begun(1, "toolu_2"), result("toolu_2", is_error=True))
    assert watch.outcome == [("Read", None), ("Read", True)]


def test_a_clients_tools_are_not_run_here():
    call, watch = told(*begun(0, "toolu_1"), result("toolu_1"), runs=False)
    assert watch.begun == {} and not call.had_effects


@pytest.mark.parametrize("frame", [*begun(0, "toolu_1"), result("toolu_1")])
def test_what_another_agent_does_is_not_this_ones(frame: Json):
    _, watch = told({**frame, "parent_tool_use_id": "toolu_9"})
    assert watch.begun == {}


@pytest.mark.parametrize(
    "frame",
    [
        {},
        {"type": "user", "message": "Hi"},
        {"type": "user", "message": {"content": ["Hi", {"type": "tool_result"}]}},
        {"type": "stream_event", "event": "odd"},
        {"type": "system", "subtype": "init"},
        {"type": "result", "num_turns": "many", "total_cost_usd": None},
    ],
)
def test_an_odd_frame_harms_nothing(frame: Json):
    call, watch = told(frame, INIT, RESULT)
    assert call.agent is not None and call.agent.turns == 3
    assert watch.begun == {}

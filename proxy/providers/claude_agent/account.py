"""What the CLI tells of a run beside its answer: its session, its tools, what it cost.

Read from its frames (CLI 2.1.330), each of which has a `parent_tool_use_id` where it is another
agent's.
"""

from collections.abc import Mapping
from typing import Any, cast

from proxy.call import AgentFacts, Call

__all__ = ["Account"]

Frame = Mapping[str, Any]


class Account:
    """Tells it to the call of one request.

    Args:
        call: Who wants to know.
        parked: Whether the process was there before the request.
        runs: Whether it runs tools; else those that the model calls are the client's.
    """

    def __init__(self, call: Call, *, parked: bool, runs: bool) -> None:
        self._call = call
        self._process = "parked" if parked else "spawned"
        self._runs = runs
        self._told = False
        self._called: dict[Any, tuple[str, str]] = {}
        self._running: set[str] = set()

    @property
    def busy(self) -> bool:
        """Whether a tool is run: it may take its time, and says nothing."""
        return bool(self._running)

    def take(self, frame: Frame) -> None:
        """Take the next frame."""
        match frame.get("type"):
            case "system" if frame.get("subtype") == "init" and not self._told:
                self._told = True
                self._call.agent_ran(AgentFacts(self._process, _text(frame.get("session_id"))))
            case "result":
                turns, cost = frame.get("num_turns"), frame.get("total_cost_usd")
                self._call.agent_spent(
                    turns if isinstance(turns, int) else None,
                    float(cost) if isinstance(cost, int | float) else None,
                )
            case "stream_event" if self._runs and frame.get("parent_tool_use_id") is None:
                self._event(_object(frame.get("event")))
            case "user" if self._runs and frame.get("parent_tool_use_id") is None:
                self._results(_object(frame.get("message")).get("content"))
            case _:
                pass

    def _event(self, event: Frame) -> None:
        index, block = event.get("index"), _object(event.get("content_block"))
        if event.get("type") == "content_block_start" and block.get("type") == "tool_use":
            self._called[index] = (str(block.get("id")), str(block.get("name")))
        elif event.get("type") == "content_block_stop" and index in self._called:
            # The CLI begins to run a tool when all is said that it is to do.
            id, name = self._called.pop(index)
            self._running.add(id)
            self._call.tool_started(id, name)

    def _results(self, content: Any) -> None:
        for block in cast("list[Any]", content) if isinstance(content, list) else ():
            entry = _object(block)
            if entry.get("type") == "tool_result":
                id = str(entry.get("tool_use_id"))
                self._running.discard(id)
                self._call.tool_ended(id, failed=entry.get("is_error") is True)


def _object(value: Any) -> Frame:
    return cast("Frame", value) if isinstance(value, Mapping) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None

"""An agent's run as one message: the model was called as often as it wanted a tool.

1. Its calls of tools are no `tool_calls`: the process carries them out. What the client sees is
   what the model said before, between and after them.
2. A call that ends with `tool_use` is not the end. Any other end is the end of the run; so is the
   limit that the policy sets, which the CLI tells in its result.
3. Tokens are those of all calls. Each call tells its own, so those before it are added.
4. Thoughts are told without their signatures: those belong to calls that no client can send back.
"""

from collections.abc import Mapping
from typing import Any, Final, cast

__all__ = ["LIMITS", "OneMessage", "ends_run", "limit_of", "run_limit", "stop_reason"]

LIMITS: Final = frozenset({"error_max_turns", "error_max_budget_usd"})
"""Subtypes of the CLI's result for a run that was ended by its policy (CLI 2.1.330)."""

_LIMIT: Final = "run_limit"
_PARAGRAPH: Final = "\n\n"
_HIDDEN: Final = frozenset({"tool_use", "redacted_thinking"})
_SAID: Final = {"text_delta": "text", "thinking_delta": "thinking"}

Event = Mapping[str, Any]


def run_limit(subtype: str) -> Event:
    """Return the event that stands for a run that was ended by its policy.

    Args:
        subtype: One of `LIMITS`.
    """
    return {"type": _LIMIT, "limit": subtype}


def limit_of(event: Event) -> str | None:
    """Return which limit an event says that a run was ended by; None for any other event."""
    return cast("str", event["limit"]) if event.get("type") == _LIMIT else None


def ends_run(event: Event) -> bool:
    """Return whether a run is over with this event."""
    if event.get("type") == _LIMIT:
        return True
    return event.get("type") == "message_delta" and stop_reason(event) not in (None, "tool_use")


def stop_reason(event: Event) -> Any:
    """Return the stop reason that an event tells; None where it tells none."""
    delta = event.get("delta")
    return cast("Event", delta).get("stop_reason") if isinstance(delta, Mapping) else None


class OneMessage:
    """Turns the events of several messages into those of one."""

    __slots__ = ("_begun", "_earlier", "_hidden", "_now", "_said")

    def __init__(self) -> None:
        self._begun = False
        self._earlier: dict[str, Any] = {}
        self._now: dict[str, Any] = {}
        self._hidden: set[Any] = set()
        # What was said in an earlier message, and what in this one.
        self._said: tuple[set[str], set[str]] = (set(), set())

    def take(self, event: Event) -> list[Event]:
        """Return what an event is in the one message: itself, another one, several or none."""
        match event.get("type"):
            case "message_start":
                return self._start(event)
            case "content_block_start":
                return self._start_block(event)
            case "content_block_delta":
                return self._delta(event)
            case "content_block_stop":
                return self._stop_block(event)
            case "message_delta":
                return [self._message_delta(event)]
            case _:
                return [event]

    def _start(self, event: Event) -> list[Event]:
        message = _object(event.get("message"))
        self._now = dict(_object(message.get("usage")))
        self._hidden.clear()
        earlier, now = self._said
        self._said = (earlier | now, set())
        if self._begun:
            return [{"type": "message_delta", "delta": {}, "usage": self._usage()}]
        self._begun = True
        return [event]

    def _start_block(self, event: Event) -> list[Event]:
        if _object(event.get("content_block")).get("type") not in _HIDDEN:
            return [event]
        self._hidden.add(event.get("index"))
        return []

    def _delta(self, event: Event) -> list[Event]:
        index, delta = event.get("index"), _object(event.get("delta"))
        kind = delta.get("type")
        if index in self._hidden or kind == "signature_delta":
            return []
        name = _SAID.get(cast("str", kind))
        if name is None or not delta.get(name):
            return [event]
        earlier, now = self._said
        apart = name in earlier and name not in now
        now.add(name)
        if not apart:
            return [event]
        return [{**event, "delta": {"type": kind, name: _PARAGRAPH}}, event]

    def _stop_block(self, event: Event) -> list[Event]:
        if event.get("index") not in self._hidden:
            return [event]
        self._hidden.discard(event.get("index"))
        return []

    def _message_delta(self, event: Event) -> Event:
        told = {name: n for name, n in _object(event.get("usage")).items() if n is not None}
        self._now |= told
        usage = self._usage()
        if stop_reason(event) != "tool_use":
            return {**event, "usage": usage}
        self._earlier, self._now = usage, {}
        return {"type": "message_delta", "delta": {}, "usage": usage}

    def _usage(self) -> dict[str, Any]:
        return _sum(self._earlier, self._now)


def _sum(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return two objects as one: numbers added, the rest as the later one has it."""
    total = {**one, **other}
    for name in one.keys() & other.keys():
        before, after = one[name], other[name]
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            total[name] = _sum(cast("Event", before), cast("Event", after))
        elif _is_number(before):
            total[name] = before + after if _is_number(after) else before
    return total


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _object(value: Any) -> Event:
    return cast("Event", value) if isinstance(value, Mapping) else {}

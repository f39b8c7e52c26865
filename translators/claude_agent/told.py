"""Whether the CLI's call of the API says what the CLI was told.

Half of what we tell it goes in ways that are documented nowhere, and a later version may take no
notice of one of them. A call that lacks something is not let through: nobody would see that the
system prompt, or a turn, is missing from an answer.
"""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from translators.claude_agent.request import ALIASES, AgentRequest

__all__ = ["difference"]

Block = Mapping[str, Any]


def difference(body: Mapping[str, Any], request: AgentRequest, *, runs: bool = False) -> str | None:
    """Return what of `request` is not in the call with `body`; None where all of it is.

    The CLI may add to it: texts of its own to the system prompt, and reminders to the turns. Where
    it may make images smaller, any image stands for another.

    Args:
        body: Of the call, decoded.
        request: What the CLI was told.
        runs: Whether it is an agent's, whose later calls have more turns behind those it was told.
    """
    if request.model not in ALIASES and body.get("model") != request.model:
        return "the model"
    said = "\n".join(_texts(body.get("system")))
    if any(text not in said for text in request.system):
        return "the system prompt"
    if set(request.tools) - {tool.get("name") for tool in _blocks(body.get("tools"))}:
        return "a tool"
    turns = request.turns
    if request.own_images:
        turns = [{**turn, "content": list(map(_any_image, turn["content"]))} for turn in turns]
    sent = _blocks(body.get("messages"))
    if (missing := _missing_turn(sent, turns, more=runs)) is not None:
        return f"turn {missing}"
    return _missing_field(body, request.extra)


def _any_image(block: Block) -> Block:
    return {"type": "image"} if block["type"] == "image" else block


def _missing_turn(sent: Sequence[Block], told: Sequence[Block], *, more: bool) -> int | None:
    """Return the number of the first turn that was not sent, from 0."""
    turns = iter([turn for turn in sent if turn.get("role") != "system"])
    for number, turn in enumerate(told):
        other = next(turns, None)
        if other is None or other.get("role") != turn["role"] or not _holds(other, turn):
            return number
    return None if more or next(turns, None) is None else len(told)


def _holds(sent: Block, told: Block) -> bool:
    blocks = iter(_blocks(sent.get("content")))
    return all(any(_alike(block, other) for other in blocks) for block in told["content"])


def _alike(told: Any, sent: Any) -> bool:
    """Whether all of `told` is in `sent`."""
    if isinstance(told, dict) and isinstance(sent, dict):
        one, other = cast("dict[str, Any]", told), cast("dict[str, Any]", sent)
        return all(name in other and _alike(one[name], other[name]) for name in one)
    if isinstance(told, list) and isinstance(sent, list):
        ones, others = cast("list[Any]", told), cast("list[Any]", sent)
        return len(ones) == len(others) and all(map(_alike, ones, others))
    return told == sent


def _missing_field(body: Mapping[str, Any], extra: Mapping[str, Any]) -> str | None:
    for name, value in extra.items():
        if not _alike(value, body.get(name)):
            return f"`{name}`"
    return None


def _texts(system: Any) -> list[str]:
    if isinstance(system, str):
        return [system]
    return [str(block.get("text", "")) for block in _blocks(system)]


def _blocks(value: Any) -> list[dict[str, Any]]:
    """Return a list of objects as such; a text is one block, as the API has it."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}]
    if not isinstance(value, list):
        return []
    return [block for block in cast("list[Any]", value) if isinstance(block, dict)]

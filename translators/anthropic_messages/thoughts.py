"""Thoughts of earlier turns: out to the client in an answer, and back in the next request.

https://platform.claude.com/docs/en/build-with-claude/preserved-thinking

1. The API wants its thinking blocks back as they were, in their order, before what they stood
   before. In an answer they are all in `reasoning_details`; those before a call are also in
   that call's `extra_content`, for clients that keep only calls.
2. Of what a client sends back, `reasoning_details` says which thoughts there were, and
   `extra_content` where they stood; with only one of them, it says both. None is sent twice.
   Of the thoughts of the first call, `text_after` says how many were before the text.
3. The thoughts of another provider's model have no signature that is valid here: they are left
   out. Thoughts without a signature are, too.
"""

from collections.abc import Iterator
from typing import Any, Final, cast

from translators.anthropic_messages.content import Block
from translators.fidelity import ReportBuilder
from translators.wire.content import AssistantMessage, ToolCall

__all__ = ["REASONING_FIELDS", "ThoughtLog", "thoughts_of"]

REASONING_FIELDS: Final = frozenset({"reasoning_content", "reasoning_details", "thinking_blocks"})
"""The fields of a message that `thoughts_of` reads and reports."""

_FORMAT = "anthropic-claude-v1"


class ThoughtLog:
    """The thinking blocks of one answer."""

    __slots__ = ("_count", "_since", "_text_after")

    def __init__(self) -> None:
        self._count = 0
        self._since: list[Block] = []
        # Of the thoughts before the first call, how many were before the text; -1 after it.
        self._text_after: int | None = None

    def spoken(self) -> None:
        """Take note that the answer has text here."""
        if self._text_after is None:
            self._text_after = len(self._since)

    def add(self, block: Block) -> Block | None:
        """Take the next thinking block; return its entry in `reasoning_details`."""
        entry: Block = {"index": self._count, "format": _FORMAT}
        if block["type"] == "redacted_thinking":
            entry |= {"type": "reasoning.encrypted", "data": block["data"]}
        elif block["signature"] or block["thinking"]:
            entry |= {"type": "reasoning.text", "text": block["thinking"]}
            if block["signature"]:
                entry["signature"] = block["signature"]
        else:
            return None
        self._count += 1
        if _is_valid(block):
            self._since.append(block)
        return entry

    def take(self) -> dict[str, Any]:
        """Return the fields that the next call carries: the blocks since the one before."""
        after, self._text_after = self._text_after, -1
        if not self._since:
            return {}
        blocks, self._since = self._since, []
        own: Block = {"thinking_blocks": blocks}
        if after is not None and 0 <= after < len(blocks):
            own["text_after"] = after
        return {"extra_content": {"anthropic": own}}


def thoughts_of(message: AssistantMessage, report: ReportBuilder) -> list[list[Block]]:
    """Return the thinking blocks of an earlier answer.

    Returns:
        For each place, the blocks that stand there: first those before everything, then those
        between the text and the first call, those before the second call, and so on.
    """
    extra = message.model_extra or {}
    calls = message.tool_calls or []
    places: list[list[Block]] = [_carried(call, report) for call in calls] or [[]]
    after = _text_after(calls[0]) if calls else None
    if after is None:
        after = len(places[0])
    places[:1] = [places[0][:after], places[0][after:]]
    told = _details(extra.get("reasoning_details"), report) or _listed(
        extra.get("thinking_blocks"), report, "messages[].thinking_blocks"
    )
    if told:
        # The signatures tell the blocks apart.
        known = {_key(block) for block in told}
        places = [[block for block in place if _key(block) in known] for place in places]
        placed = {_key(block) for place in places for block in place}
        places[0] = [block for block in told if _key(block) not in placed] + places[0]
    if extra.get("reasoning_content") and not any(places):
        report.ignored("messages[].reasoning_content")
    return places


def _details(value: Any, report: ReportBuilder) -> list[Block]:
    blocks: list[Block] = []
    for entry in _objects(value):
        block: Block = {}
        if entry.get("format") == _FORMAT and entry.get("type") == "reasoning.text":
            text = entry.get("text") or ""
            block = {"type": "thinking", "thinking": text, "signature": entry.get("signature")}
        elif entry.get("format") == _FORMAT and entry.get("type") == "reasoning.encrypted":
            block = {"type": "redacted_thinking", "data": entry.get("data")}
        if _is_valid(block):
            blocks.append(block)
        else:
            report.ignored("messages[].reasoning_details")
    return blocks


def _carried(call: ToolCall, report: ReportBuilder) -> list[Block]:
    path = "messages[].tool_calls[].extra_content"
    extra = (call.model_extra or {}).get("extra_content")
    if not isinstance(extra, dict):
        return []
    vendors = cast("Block", extra)
    report.ignored_fields(path, vendors, known=frozenset({"anthropic"}))
    return _listed(_own(call).get("thinking_blocks"), report, f"{path}.anthropic")


def _own(call: ToolCall) -> Block:
    """Return what a call carries of this vendor's."""
    extra = (call.model_extra or {}).get("extra_content")
    own = cast("Block", extra).get("anthropic") if isinstance(extra, dict) else None
    return cast("Block", own) if isinstance(own, dict) else {}


def _text_after(call: ToolCall) -> int | None:
    value = _own(call).get("text_after")
    return value if type(value) is int and value >= 0 else None


def _listed(value: Any, report: ReportBuilder, path: str) -> list[Block]:
    blocks = list(_objects(value))
    valid = [_plain(block) for block in blocks if _is_valid(block)]
    if len(valid) != len(blocks):
        report.ignored(path)
    return valid


def _objects(value: Any) -> Iterator[Block]:
    for entry in cast("list[Any]", value) if isinstance(value, list) else ():
        yield cast("Block", entry) if isinstance(entry, dict) else {}


def _plain(block: Block) -> Block:
    """Return a block without what clients add, such as the `index` of a delta."""
    names = ("thinking", "signature") if block["type"] == "thinking" else ("data",)
    return {name: block[name] for name in ("type", *names)}


def _key(block: Block) -> tuple[Any, Any]:
    return block.get("signature") or block.get("data"), block.get("thinking")


def _is_valid(block: Block) -> bool:
    if block.get("type") == "redacted_thinking":
        return bool(block.get("data")) and isinstance(block["data"], str)
    if block.get("type") != "thinking" or not isinstance(block.get("thinking"), str):
        return False
    return bool(block.get("signature")) and isinstance(block["signature"], str)

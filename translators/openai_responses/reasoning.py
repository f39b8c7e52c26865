"""Reasoning items of earlier turns, from what our own answers carried.

https://developers.openai.com/api/docs/guides/reasoning#keeping-reasoning-items-in-context

1. An item goes back whole (id, summary, encrypted content), before what it preceded, and once:
   an id that comes twice is a 400 there. Plain reasoning text is refused on input ("Expected an
   array with maximum length 0"), and an item without encrypted content is not found.
2. `reasoning_details` of the message are complete; the calls' `extra_content` says where in the
   answer an item stood. An item that only the details have stood before the text.
3. Another vendor's reasoning is left out, and reported; so is that of an answer with nothing
   else in it ("provided without its required following item").
"""

from dataclasses import dataclass, field
from typing import Any, Final, cast

from translators.fidelity import ReportBuilder
from translators.openai_responses.content import Item
from translators.wire.content import AssistantMessage, ToolCall

__all__ = ["FORMAT", "MESSAGE_FIELDS", "Reasoned", "ReasoningHistory", "reasoning_item"]

FORMAT: Final = "openai-responses-v1"
"""The `format` of this API's entries in `reasoning_details` (OpenRouter's name)."""

MESSAGE_FIELDS: Final = ("reasoning_content", "reasoning", "reasoning_details")
_OWN = frozenset({"openai"})
_SHOWN = {"reasoning.text": "text", "reasoning.summary": "summary"}


@dataclass(slots=True)
class Reasoned:
    """The reasoning items of one answer, by their places.

    Attributes:
        leading: Those before everything else.
        before_calls: For each call, those since the call before it.
        text_after: How many of the first call's items stood before the text; None: all.
    """

    leading: list[Item] = field(default_factory=list)
    before_calls: list[list[Item]] = field(default_factory=list)
    text_after: int | None = None


def reasoning_item(id: str, summary: list[str], encrypted: str) -> Item:
    """Return an item as the API takes it back."""
    parts = [{"type": "summary_text", "text": text} for text in summary]
    return {"type": "reasoning", "id": id, "summary": parts, "encrypted_content": encrypted}


class ReasoningHistory:
    """Rebuilds the reasoning items of a conversation, each once."""

    def __init__(self, report: ReportBuilder, *, wanted: bool) -> None:
        self._report = report
        self._wanted = wanted
        self._used: set[str] = set()

    def of(self, message: AssistantMessage) -> Reasoned:
        """Return the items of the next answer, and report what is lost of its reasoning."""
        calls = message.tool_calls or []
        extra = message.model_extra or {}
        known = _from_details(extra.get("reasoning_details")) if self._wanted else {}
        found = Reasoned()
        for call in calls:
            items = [known.get(item["id"], item) for item in self._before(call)]
            found.before_calls.append([item for item in items if self._first(item)])
        found.leading = [item for item in known.values() if self._first(item)]
        if calls:
            found.text_after = _text_after(calls[0])
        if not (found.leading or any(found.before_calls)):
            self._report_lost(extra)
        elif _foreign(extra.get("reasoning_details")):
            self._report.ignored("messages[].reasoning_details")
        return found

    def lose(self, message: AssistantMessage) -> bool:
        """Report the reasoning of an answer that has nothing else; return whether there is any."""
        extra = message.model_extra or {}
        whole = self._wanted and bool(_from_details(extra.get("reasoning_details")))
        if whole:
            self._report.ignored("messages[].reasoning_details")
        self._report_lost(extra)
        return whole or any(_is_lost(extra.get(name)) for name in MESSAGE_FIELDS)

    def _before(self, call: ToolCall) -> list[Item]:
        given = _object((call.model_extra or {}).get("extra_content"))
        path = "messages[].tool_calls[].extra_content"
        self._report.ignored_fields(path, given, known=_OWN)
        entries = _openai_extra(call).get("reasoning_items")
        if not self._wanted or not isinstance(entries, list):
            return []
        items = [_native(entry) for entry in cast("list[Any]", entries)]
        if not all(items):
            self._report.ignored("messages[].tool_calls[].extra_content.openai.reasoning_items")
        return [item for item in items if item is not None]

    def _first(self, item: Item) -> bool:
        if item["id"] in self._used:
            return False
        self._used.add(item["id"])
        return True

    def _report_lost(self, extra: dict[str, Any]) -> None:
        for name in MESSAGE_FIELDS:
            if _is_lost(extra.get(name)):
                self._report.ignored(f"messages[].{name}")


def _openai_extra(call: ToolCall) -> Item:
    extra = _object((call.model_extra or {}).get("extra_content"))
    return _object(extra.get("openai"))


def _text_after(call: ToolCall) -> int | None:
    value = _openai_extra(call).get("text_after")
    return value if isinstance(value, int) and value >= 0 else None


def _from_details(value: Any) -> dict[str, Item]:
    """Return the items that `reasoning_details` hold whole, by id, in their order."""
    summaries: dict[str, list[str]] = {}
    encrypted: dict[str, str] = {}
    for entry in cast("list[Any]", value) if isinstance(value, list) else ():
        detail = _object(entry)
        id, data = detail.get("id"), detail.get("data")
        if detail.get("format") != FORMAT or not isinstance(id, str) or not id:
            continue
        texts = summaries.setdefault(id, [])
        if detail.get("type") == "reasoning.summary" and isinstance(detail.get("summary"), str):
            texts.append(detail["summary"])
        elif detail.get("type") == "reasoning.encrypted" and isinstance(data, str) and data:
            encrypted[id] = data
    # A summary is told when its item ends, the encrypted content when something follows: only the
    # latter are in the items' own order.
    return {id: reasoning_item(id, summaries[id], data) for id, data in encrypted.items()}


def _native(value: Any) -> Item | None:
    """Return an item of `reasoning_items` with the fields that the API takes; None: it is none."""
    given = _object(value)
    id, encrypted, summary = (given.get(k) for k in ("id", "encrypted_content", "summary"))
    if not (isinstance(id, str) and id and isinstance(encrypted, str) and encrypted):
        return None
    parts = cast("list[Any]", summary) if isinstance(summary, list) else []
    texts = [text for part in parts if isinstance(text := _object(part).get("text"), str)]
    return reasoning_item(id, texts, encrypted)


def _is_lost(value: Any) -> bool:
    return (isinstance(value, str) and bool(value)) or _shows(value) or _foreign(value)


def _shows(value: Any) -> bool:
    """Whether `reasoning_details` hold something to read."""
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    return any(
        bool(detail.get(_SHOWN.get(str(detail.get("type")), "")))
        for detail in map(_object, entries)
    )


def _foreign(value: Any) -> bool:
    """Whether `reasoning_details` hold something that only another vendor can read."""
    entries = cast("list[Any]", value) if isinstance(value, list) else []
    return any(
        bool(detail.get("data")) and detail.get("format") != FORMAT
        for detail in map(_object, entries)
    )


def _object(value: Any) -> Item:
    return cast("Item", value) if isinstance(value, dict) else {}

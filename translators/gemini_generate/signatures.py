"""Thought signatures that come back: where clients keep them.

https://ai.google.dev/gemini-api/docs/thought-signatures

1. Of a call: in an entry of `reasoning_details` that names it (OpenRouter), in its
   `extra_content.google` (Google's own OpenAI endpoint, and ours) or `.vertex`, in its
   `provider_specific_fields`, or behind `__thought__` in its id (both LiteLLM).
2. Of a text: in an entry of `reasoning_details` that names no call.
3. What tools of the server's own did before a call is in `extra_content.google.server_tools`, and
   goes back before it where the request has such tools.
4. Another vendor's is never sent. Thoughts themselves are not sent either: the API does not want
   them back, and where their signature comes nothing is lost.
"""

import re
from typing import Any, cast

from translators.fidelity import ReportBuilder
from translators.wire.content import AssistantMessage, ToolCall

__all__ = ["FORMAT", "Signatures", "plain_id", "signature_in"]

FORMAT = "google-gemini-v1"
"""OpenRouter's name of this vendor's entries in `reasoning_details`."""

_SIGNATURE = re.compile(r"[A-Za-z0-9+/_-]+={0,2}")
_PATH = "messages[].tool_calls[].extra_content.google.thought_signature"
_SERVER_PATH = "messages[].tool_calls[].extra_content.google.server_tools"
_MARK = "__thought__"
_VENDORS = ("google", "vertex")
_EXTRA = frozenset(_VENDORS)
_FIELDS = frozenset({"thought_signature"})


def plain_id(id: str) -> str:
    """Return a call's id without the signature that LiteLLM writes behind it."""
    head, mark, _ = id.partition(_MARK)
    return head if mark and head else id


def signature_in(fields: Any) -> str | None:
    """Return the signature in the `extra_content.google` of an object, if it has one."""
    google = _object(_object(_object(fields).get("extra_content")).get("google"))
    value = google.get("thought_signature")
    return value if isinstance(value, str) and _SIGNATURE.fullmatch(value) else None


class Signatures:
    """The signatures that one answer of an earlier turn has brought.

    Attributes:
        text: That of its text.
    """

    def __init__(
        self, message: AssistantMessage, report: ReportBuilder, *, server_tools: bool
    ) -> None:
        self._report = report
        self._server_tools = server_tools
        self._before: dict[str, list[dict[str, Any]]] = {}
        self._by_call: dict[str, str] = {}
        self.text: str | None = None
        extra = message.model_extra or {}
        self._read_details(extra.get("reasoning_details"))
        for call in message.tool_calls or ():
            if (found := self._on_call(call)) is not None:
                self._by_call.setdefault(plain_id(call.id), found)
        if extra.get("reasoning_content") and self.text is None and not self._by_call:
            report.ignored("messages[].reasoning_content")

    def of(self, id: str) -> str | None:
        """Return the signature of the call with this id, as `plain_id` has it."""
        return self._by_call.get(id)

    def before(self, id: str) -> list[dict[str, Any]]:
        """Return the parts that stand before the call with this id."""
        return self._before.get(id, [])

    def _read_details(self, details: Any) -> None:
        if not isinstance(details, list):
            details = [details] if details else []
        for entry in cast("list[Any]", details):
            fields = _object(entry)
            if fields.get("format") != FORMAT:
                self._report.ignored("messages[].reasoning_details")
                continue
            data, id = fields.get("data"), fields.get("id")
            if fields.get("type") != "reasoning.encrypted":
                continue
            if not (isinstance(data, str) and _SIGNATURE.fullmatch(data)):
                self._report.ignored("messages[].reasoning_details")
            elif isinstance(id, str) and id:
                self._by_call[plain_id(id)] = data
            else:
                if self.text not in (None, data):
                    # A text goes back as one part, which has one signature: the last.
                    self._report.ignored("messages[].reasoning_details")
                self.text = data

    def _on_call(self, call: ToolCall) -> str | None:
        fields = call.model_extra or {}
        extra = _object(fields.get("extra_content"))
        self._report.ignored_fields("messages[].tool_calls[].extra_content", extra, known=_EXTRA)
        self._read_parts(plain_id(call.id), _object(extra.get("google")).get("server_tools"))
        for vendor in _VENDORS:
            found = _object(extra.get(vendor))
            if found.keys() - {"server_tools"}:
                return self._checked(found.get("thought_signature"))
        theirs = _object(fields.get("provider_specific_fields"))
        path = "messages[].tool_calls[].provider_specific_fields"
        self._report.ignored_fields(path, theirs, known=_FIELDS)
        if theirs.get("thought_signature"):
            return self._checked(theirs["thought_signature"])
        _, mark, signature = call.id.partition(_MARK)
        return self._checked(signature) if mark else None

    def _read_parts(self, id: str, parts: Any) -> None:
        if not parts:
            return
        listed = cast("list[Any]", parts) if isinstance(parts, list) else [None]
        found = [_object(part) for part in listed]
        if self._server_tools and all(_is_of_server(part) for part in found):
            self._before.setdefault(id, found)
        else:
            self._report.ignored(_SERVER_PATH)

    def _checked(self, value: Any) -> str | None:
        if isinstance(value, str) and _SIGNATURE.fullmatch(value):
            return value
        self._report.ignored(_PATH)
        return None


def _is_of_server(part: dict[str, Any]) -> bool:
    kinds = [part[name] for name in ("toolCall", "toolResponse") if name in part]
    signature = part.get("thoughtSignature", "c2ln")
    known = part.keys() <= {"toolCall", "toolResponse", "thoughtSignature"}
    signed = isinstance(signature, str) and _SIGNATURE.fullmatch(signature) is not None
    return known and signed and len(kinds) == 1 and isinstance(kinds[0], dict)


def _object(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}

"""The server's own search of the web, and answers that pause in the middle of it.

https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool and
https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons

1. OpenAI's models search when they are told to by `web_search_options`; here it is a tool that
   the model may use. What OpenAI calls the size of the context is how often it may.
2. An answer that stops with `pause_turn` is gone on with by sending back what there is of it,
   unchanged: signatures and encrypted results are checked.
"""

from typing import Any, cast

import msgspec

from translators.anthropic_messages import events
from translators.anthropic_messages.content import Block
from translators.anthropic_messages.events import Delta, Event
from translators.anthropic_messages.models import ModelProfile
from translators.errors import ProviderError
from translators.fidelity import ReportBuilder
from translators.json import UNREADABLE
from translators.protocol import HttpRequest
from translators.wire.request import ChatCompletionRequest

__all__ = ["PausedContent", "continued", "may_pause", "to_web_search"]

_TOOL = "web_search_20260318"
_NAME = "web_search"
_USES = {"low": 1, "medium": 5, "high": 10}
_PLACE = ("city", "country", "region", "timezone")


def to_web_search(
    chat: ChatCompletionRequest,
    *,
    profile: ModelProfile,
    names: list[str],
    report: ReportBuilder,
) -> list[Block]:
    """Return the server's tool for `web_search_options`, or nothing without them.

    Args:
        chat: The request.
        profile: What the model can do.
        names: The names of the client's tools.
        report: Where to say what was not carried over as it stood.

    Raises:
        TranslationError: The model cannot search, or a tool has the name already.
    """
    options = chat.web_search_options
    if options is None:
        return []
    if not profile.web_search:
        raise report.reject("web_search_options", "this model does not search the web.")
    if _NAME in names:
        raise report.reject(
            "tools", f"`{_NAME}` is the name of the server's own tool; rename yours."
        )
    known = frozenset({"search_context_size", "user_location"})
    report.emulated("web_search_options")
    report.ignored_fields("web_search_options", options, known=known)
    size = options.get("search_context_size") or "medium"
    if not isinstance(size, str) or size not in _USES:
        raise report.reject(
            "web_search_options.search_context_size", 'it is "low", "medium" or "high".'
        )
    # Called directly it needs no code execution, which older models lack.
    tool: Block = {
        "type": _TOOL,
        "name": _NAME,
        "max_uses": _USES[size],
        "allowed_callers": ["direct"],
    }
    if (place := _location(options.get("user_location"), report)) is not None:
        tool["user_location"] = place
    return [tool]


def _location(value: Any, report: ReportBuilder) -> Block | None:
    if value is None:
        return None
    path = "web_search_options.user_location"
    outer = cast("Block", value) if isinstance(value, dict) else {}
    told = outer.get("approximate")
    inner = cast("Block", told) if isinstance(told, dict) else {}
    report.ignored_fields(path, outer, known=frozenset({"type", "approximate"}))
    report.ignored_fields(path, inner, known=frozenset(_PLACE))
    found = {name: inner[name] for name in _PLACE if inner.get(name)}
    if not all(isinstance(entry, str) for entry in found.values()):
        raise report.reject(path, "its fields are strings.")
    return {"type": "approximate", **found} if found else None


def may_pause(request: HttpRequest) -> bool:
    """Return whether the answer may pause: only with tools of the server's own."""
    return any("input_schema" not in tool for tool in request.body.get("tools", ()))


def continued(request: HttpRequest, content: list[Any]) -> HttpRequest:
    """Return `request` with what there is of its answer: "provide the response back as-is"."""
    turns: list[Block] = list(request.body["messages"])
    before: list[Any] = []
    if turns[-1]["role"] == "assistant":
        before = turns.pop()["content"]
    turns.append({"role": "assistant", "content": [*before, *content]})
    return HttpRequest(request.path, {**request.body, "messages": turns}, request.headers)


class PausedContent:
    """Collects the blocks of a streamed answer in their native form."""

    __slots__ = ("_blocks", "_open")

    def __init__(self) -> None:
        self._blocks: list[_PausedBlock] = []
        self._open: dict[int | None, _PausedBlock] = {}

    def feed(self, event: Event, data: bytes) -> None:
        """Take the next event: as it was understood, by which it is not broken, and as it came."""
        if event.type == "content_block_start" and event.content_block is not None:
            told: Any = msgspec.json.decode(data)["content_block"]
            native = cast("Block", told) if isinstance(told, dict) else {}
            block = self._open[event.index] = _PausedBlock(native, event.content_block)
            self._blocks.append(block)
        elif event.type == "content_block_delta" and event.delta is not None:
            self._open[event.index].grow(event.delta)

    def take(self) -> list[Block]:
        """Return the blocks, and forget them.

        Raises:
            ProviderError: The input of a tool is not JSON.
        """
        blocks = [block.whole() for block in self._blocks]
        self._blocks, self._open = [], {}
        return [block for block in blocks if block.get("type") != "text" or block.get("text")]


class _PausedBlock:
    """A block, and the parts it grew by: they are joined once, at its end."""

    __slots__ = ("_citations", "_inputs", "_native", "_signature", "_texts", "_thoughts")

    def __init__(self, native: Block, begun: events.Block) -> None:
        self._native = native
        self._texts = [begun.text or ""]
        self._thoughts = [begun.thinking or ""]
        self._citations = list(begun.citations or ())
        self._inputs: list[str] = []
        self._signature: str | None = None

    def grow(self, delta: Delta) -> None:
        """Take the next part."""
        match delta.type:
            case "text_delta":
                self._texts.append(delta.text or "")
            case "thinking_delta":
                self._thoughts.append(delta.thinking or "")
            case "signature_delta":
                self._signature = delta.signature or self._signature
            case "input_json_delta":
                self._inputs.append(delta.partial_json or "")
            case "citations_delta" if delta.citation is not None:
                self._citations.append(delta.citation)
            case _:
                pass

    def whole(self) -> Block:
        """Return the native block with everything it grew by.

        Raises:
            ProviderError: The input of a tool is not JSON.
        """
        found: Block = {
            "text": "".join(self._texts),
            "thinking": "".join(self._thoughts),
            "signature": self._signature,
            "citations": self._citations,
        }
        if text := "".join(self._inputs):
            try:
                found["input"] = msgspec.json.decode(text)
            except UNREADABLE:
                raise ProviderError(
                    "The provider paused with a call whose input is not JSON.", kind="protocol"
                ) from None
        return self._native | {n: v for n, v in found.items() if v or n == "input"}

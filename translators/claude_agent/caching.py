"""The marks up to which a prompt is cached: the CLI puts its own, and the API takes four.

The CLI marks the end of the system prompt and the end of the last turn, each for five minutes. The
client's marks are taken out. What they ask for, a prompt that is cached, comes about all the same;
a longer life does not.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from translators.fidelity import ReportBuilder
from translators.wire.content import Message
from translators.wire.request import ChatCompletionRequest, FunctionTool

__all__ = ["report_marks", "unmark"]

Block = dict[str, Any]

_SHORT = (None, "5m")
_FIELDS = ("cache_control", "prompt_cache_breakpoint")


def report_marks(chat: ChatCompletionRequest, report: ReportBuilder) -> None:
    """Say what becomes of the client's marks: emulated, but for a life beyond five minutes."""
    for path, extra in _extras(chat):
        for field in _FIELDS:
            mark = extra.get(field)
            if isinstance(mark, dict):
                report.emulated(f"{path}{field}")
                if cast("Block", mark).get("ttl") not in _SHORT:
                    report.ignored(f"{path}{field}.ttl")
    if (chat.prompt_cache_options or {}).get("ttl") not in _SHORT:
        report.ignored("prompt_cache_options.ttl")


def _extras(chat: ChatCompletionRequest) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the fields OpenAI does not know of whatever can carry a mark, and the path to them."""
    yield "", chat.model_extra or {}
    for message in chat.messages:
        yield "messages[].", message.model_extra or {}
        for part in _parts(message):
            yield "messages[].content[].", part.model_extra or {}
    for tool in chat.tools or ():
        yield "tools[].", tool.model_extra or {}
        if isinstance(tool, FunctionTool):
            yield "tools[].function.", tool.function.model_extra or {}
    for function in chat.functions or ():
        yield "functions[].", function.model_extra or {}


def _parts(message: Message) -> Iterable[Any]:
    return () if message.content is None or isinstance(message.content, str) else message.content


def unmark(body: Block) -> None:
    """Take the marks out of a body for the Messages API."""
    body.pop("cache_control", None)
    for block in _blocks(body):
        block.pop("cache_control", None)


def _blocks(body: Block) -> Iterator[Block]:
    yield from body.get("tools", ())
    yield from body.get("system", ())
    for turn in body["messages"]:
        for block in turn["content"]:
            yield block
            if block["type"] == "tool_result":
                yield from block.get("content", ())

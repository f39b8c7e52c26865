"""The marks up to which a prompt is cached.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching

1. There may be four. The last ones are kept: they stand for the longest prefixes.
2. A mark that lasts an hour may not stand behind one of five minutes; the earlier one is made
   to last as long.
3. The mark for the whole request stands for its last block. Words of ours behind the client's
   are not in the next request, so the mark stays with the client's.
"""

from collections.abc import Iterator
from typing import Any

from translators.anthropic_messages.content import Block
from translators.fidelity import ReportBuilder

__all__ = ["fix_mark", "settle_marks"]

_MOST = 4


def fix_mark(turns: list[Block], mark: Block | None) -> Block | None:
    """Put the mark for the whole request on the last block there is; return what is left of it."""
    last: Block | None = turns[-1]["content"][-1] if turns else None
    if mark is None or last is None or last["type"] in ("thinking", "redacted_thinking"):
        return mark
    last.setdefault("cache_control", mark)
    return None


def settle_marks(body: dict[str, Any], report: ReportBuilder) -> None:
    """Make the marks of a request such as the API takes them."""
    marked = [block for block in _blocks(body) if "cache_control" in block]
    if "cache_control" in body:
        marked.append(body)
    for block in marked[: max(len(marked) - _MOST, 0)]:
        del block["cache_control"]
        report.ignored("cache_control")
    lasting = False
    for block in reversed(marked[-_MOST:]):
        mark: Block = block["cache_control"]
        if mark.get("ttl") == "1h":
            lasting = True
        elif lasting:
            report.emulated("cache_control")
            block["cache_control"] = {**mark, "ttl": "1h"}


def _blocks(body: dict[str, Any]) -> Iterator[Block]:
    """Yield what can carry a mark, in the order of the prompt."""
    yield from body.get("tools", ())
    yield from body.get("system", ())
    for turn in body["messages"]:
        for block in turn["content"]:
            if block["type"] == "tool_result":
                yield from block.get("content", ())
            yield block

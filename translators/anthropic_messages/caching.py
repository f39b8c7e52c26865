"""The marks up to which a prompt is cached.

https://platform.claude.com/docs/en/build-with-claude/prompt-caching

1. There may be four. The last ones are kept: they stand for the longest prefixes.
2. A mark that lasts an hour may not stand behind one of five minutes; the earlier one is made
   to last as long.
3. The mark for the whole request stands for its last block. Words of ours behind the client's
   are not in the next request, so the mark stays with the client's.
"""

from typing import Any

from translators.anthropic_messages.content import Block
from translators.fidelity import ReportBuilder

__all__ = ["fix_mark", "settle_marks"]

_MOST = 4
_MARK = "cache_control"


def fix_mark(turns: list[Block], mark: Block | None) -> Block | None:
    """Put the mark for the whole request on the last block there is; return what is left of it."""
    last: Block | None = turns[-1]["content"][-1] if turns else None
    if mark is None or last is None or last["type"] in ("thinking", "redacted_thinking"):
        return mark
    last.setdefault(_MARK, mark)
    return None


def settle_marks(body: dict[str, Any], report: ReportBuilder) -> None:
    """Make the marks of a request such as the API takes them."""
    marked = _marked(body)
    if _MARK in body:
        marked.append(body)
    if not marked:
        return
    for block in marked[: max(len(marked) - _MOST, 0)]:
        del block[_MARK]
        report.ignored("cache_control")
    lasting = False
    for block in reversed(marked[-_MOST:]):
        mark: Block = block[_MARK]
        if mark.get("ttl") == "1h":
            lasting = True
        elif lasting:
            report.emulated("cache_control")
            block[_MARK] = {**mark, "ttl": "1h"}


def _marked(body: dict[str, Any]) -> list[Block]:
    """Return what carries a mark, in the order of the prompt."""
    marked = [
        block for block in (*body.get("tools", ()), *body.get("system", ())) if _MARK in block
    ]
    for turn in body["messages"]:
        for block in turn["content"]:
            if block["type"] == "tool_result":
                marked += [part for part in block.get("content", ()) if _MARK in part]
            if _MARK in block:
                marked.append(block)
    return marked

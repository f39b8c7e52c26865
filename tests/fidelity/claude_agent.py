"""Claude's command line: it calls the Messages API, so most cells are that API's.

Their evidence is where the CLI is told the thing; `tests/claude_agent/test_fidelity.py` looks for
it where it is to be in the end, in the call that the real CLI makes.
"""

from dataclasses import replace

from tests.fidelity import anthropic_messages
from tests.fidelity.cells import Cell, Column, emulated, ignored, native, rejected, shown_by
from translators.claude_agent.fidelity import RULES
from translators.claude_agent.translator import ClaudeAgentTranslator

__all__ = ["COLUMN", "in_the_call"]

_MODEL = "claude-sonnet-5"
_UNFORCED = "claude-opus-5-5"
_PAIRED = "claude-sonnet-4-0"
"""The last one that takes `top_p` and `temperature` at the same time."""

_MARKS = "tests/claude_agent/test_fidelity.py::test_the_cli_marks_what_is_to_be_cached"
_STREAM = "tests/claude_agent/test_chat.py::test_text_streams_as_it_comes"

_PLACES = (("body/messages", "turns"), ("body/system", "system"), ("body", "extra"))
"""A part of the API's call, and where the CLI is told it."""


def _told(path: str) -> str:
    """Return where the CLI is told what is at a path of the API's call."""
    for theirs, ours in _PLACES:
        if path.startswith(f"{theirs}/"):
            place = path.replace(theirs, ours, 1)
            return place.removesuffix("/text") if ours == "system" else place
    return path


def in_the_call(path: str) -> str | None:
    """Return where in the CLI's call there is what it was told at `path`; None: not in there."""
    first, _, rest = path.partition("/")
    if first == "system":
        # Before it the CLI says whose agent it is.
        return f"system/{int(rest) + 1}/text"
    if first == "turns":
        return f"messages/{rest}"
    return {"extra": rest, "model": "model"}.get(first)


def _through_the_cli(cell: Cell) -> Cell:
    return replace(cell, evidence={_told(path): value for path, value in cell.evidence.items()})


_CELLS: dict[str, tuple[Cell, ...]] = {
    name: tuple(map(_through_the_cli, cells))
    for name, cells in anthropic_messages.COLUMN.cells.items()
} | {
    "model": (native({"model": _MODEL}),),
    # It always streams; what is not streamed to the client is put together here.
    "stream": (shown_by(_STREAM),),
    "prompt_cache_options": (shown_by(_MARKS, "emulated"),),
    "prompt_cache_retention": (ignored(),),
    "top_p": (
        native({"extra/top_p": 0.5}, model=_PAIRED),
        ignored(model="claude-sonnet-4-5"),
        ignored(),
    ),
    "web_search_options": (rejected(),),
    "`system` message later on": (
        emulated(
            {"turns/2/content/1/text": "[System instruction] Be brief."}, param="messages[].role"
        ),
    ),
    "`cache_control` on a part": (shown_by(_MARKS, "emulated"),),
    "`prompt_cache_breakpoint` on a part": (shown_by(_MARKS, "emulated"),),
    "`tool_choice: required`": (
        native({"extra/tool_choice/type": "any"}),
        emulated(
            {
                "extra/tool_choice/type": "auto",
                "turns/0/content/1/text": "[System instruction] You must call at least one of the "
                "tools now; do not answer in words alone.",
            },
            model=_UNFORCED,
        ),
    ),
}

COLUMN = Column("claude_agent", ClaudeAgentTranslator(), _MODEL, _CELLS, RULES)

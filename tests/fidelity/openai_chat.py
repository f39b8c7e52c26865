"""OpenAI's own dialect: everything arrives as it was sent."""

from tests.fidelity.cells import Cell, Column, ignored, native, shown_by
from tests.fidelity.rows import ROWS, Row
from translators.openai_chat.fidelity import RULES
from translators.openai_chat.translator import OpenAIChatTranslator

__all__ = ["COLUMN"]

USAGE = "tests/http/test_sdk.py::test_rows_58_59_usage_comes_once_last_and_only_when_asked_for"


def _passed_on(row: Row) -> Cell:
    return native(
        {f"body/{name}": value for name, value in row.used.items() if value != row.unused.get(name)}
    )


_CELLS = {row.name: (_passed_on(row),) for row in ROWS} | {
    "model": (native({"body/model": "gpt-5.2"}),),
    # The older name, which reasoning models refuse, becomes the newer one, and the other way.
    "max_tokens": (native({"body/max_completion_tokens": 77}),),
    # Streams are asked for their token counts whether the client wants them or not.
    "stream_options": (shown_by(USAGE),),
    **{row.name: (ignored(),) for row in ROWS if "thinking" in row.name},
    "`reasoning_content` alone, unsigned": (ignored(),),
}

COLUMN = Column("openai_chat", OpenAIChatTranslator(), "gpt-5.2", _CELLS, RULES)

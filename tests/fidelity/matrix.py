"""The published matrix: `python -m tests.fidelity.matrix` writes it into translators/README.md.

It is made from the tables that stand beside the translators, and refuses a verdict that no test
shows: each cell needs an entry in `tests.fidelity.columns`, which `test_matrix` runs.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from tests.fidelity.cells import Column
from tests.fidelity.columns import COLUMNS
from tests.fidelity.rows import CONTENT, FIELDS, Row
from tests.marked_pages import with_part

__all__ = ["README", "UntestedCell", "main", "page", "rendered"]

README = Path(__file__).parents[2] / "translators" / "README.md"

BEGIN = "<!-- matrix: written by `make docs` -->"
END = "<!-- end of the matrix -->"

_SIGNS = {"native": "native", "emulated": "emulated", "ignored": "*ignored*", "rejected": "**400**"}


class UntestedCell(Exception):
    """A verdict without a test, a test without a verdict, or two that differ."""


def rendered(columns: Sequence[Column] = COLUMNS) -> str:
    """Return the matrix in Markdown.

    Raises:
        UntestedCell: A cell of it is not shown by a test.
    """
    notes: dict[str, int] = {}
    parts = [_LEGEND]
    for title, rows in (("Request fields", FIELDS), ("Content", CONTENT)):
        parts.append(f"### {title}")
        parts.append("\n".join(_table(rows, columns, notes)))
    parts.append("\n".join(f"{number}. {note}" for note, number in notes.items()))
    return "\n\n".join(parts)


_LEGEND = """\
*native*: the target has the same thing. *emulated*: the same effect by other means, named in
`x-ep-emulated-params`. *ignored*: a hint without a counterpart, named in `x-ep-ignored-params`;
with `x-ep-strict: true` it is a 400. **400**: losing it would change what the caller gets, so it is
refused with its `param`, or goes to a provider that can. A value that asks for nothing (`n: 1`) is
none of these. The numbers are notes; each cell has a test in `tests/fidelity/`."""


def _table(rows: Sequence[Row], columns: Sequence[Column], notes: dict[str, int]) -> list[str]:
    lines = [
        "| | " + " | ".join(f"`{column.dialect}`" for column in columns) + " |",
        "|---" * (len(columns) + 1) + "|",
    ]
    for row in rows:
        name = f"`{row.name}`" if row in FIELDS and " " not in row.name else row.name
        cells = [_cell(row, column, notes) for column in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _cell(row: Row, column: Column, notes: dict[str, int]) -> str:
    rule, cells = column.rules.get(row.name), column.cells.get(row.name, ())
    where = f"`{row.name}` in `{column.dialect}`"
    if rule is None:
        raise UntestedCell(f"{where}: translators/{column.dialect}/fidelity.py has no verdict.")
    if not cells:
        raise UntestedCell(f"{where}: tests/fidelity/{column.dialect}.py has no test.")
    if cells[0].verdict != rule.verdict:
        raise UntestedCell(f"{where}: the verdict is {rule.verdict}, tested is {cells[0].verdict}.")
    text = _SIGNS[rule.verdict]
    if rule.reason:
        text += f" [{notes.setdefault(rule.reason, len(notes) + 1)}]"
    return text


def page(text: str) -> str:
    """Return the text of the README with the matrix as it is now.

    Raises:
        UntestedCell: See `rendered`.
        ValueError: The marks between which it stands are missing.
    """
    return with_part(text, BEGIN, END, rendered(), page=README.name)


def main() -> int:
    """Write the matrix; return the exit status."""
    text = README.read_text(encoding="utf-8")
    try:
        new = page(text)
    except UntestedCell as error:
        print(error, file=sys.stderr)
        return 1
    if new != text:
        README.write_text(new, encoding="utf-8")
        print("translators/README.md: the matrix is new.")
    return 0


if __name__ == "__main__":
    sys.exit(main())

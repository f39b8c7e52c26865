"""Every cell of the matrix: the verdict is what the translator does, and the page shows it."""

import re
from dataclasses import replace

import msgspec
import pytest

from tests.fidelity.cells import Cell, Column, at
from tests.fidelity.columns import COLUMNS
from tests.fidelity.matrix import README, UntestedCell, page, rendered
from tests.fidelity.observation import observe
from tests.fidelity.rows import FIELDS, ROWS, Row
from tests.serving import ROOT
from translators.wire.request import ChatCompletionRequest

CELLS = [
    pytest.param(column, row, cell, id=f"{column.dialect}-{row.name}-{number}")
    for column in COLUMNS
    for row in ROWS
    for number, cell in enumerate(column.cells.get(row.name, ()))
]


@pytest.mark.parametrize(("column", "row", "cell"), CELLS)
def test_the_verdict_is_what_happens(column: Column, row: Row, cell: Cell):
    if cell.elsewhere is not None:
        file, _, function = cell.elsewhere.partition("::")
        assert re.search(rf"^(async )?def {function}\b", (ROOT / file).read_text(), re.M)
        return
    seen = observe(column.translator, row, model=cell.model or column.model)
    assert seen.verdict == cell.verdict, seen
    if cell.verdict in ("ignored", "emulated", "rejected"):
        assert seen.reported[0] == (cell.param or row.path)
    if cell.verdict in ("native", "emulated"):
        assert cell.evidence, "nothing shows that it was carried over"
        for path, value in cell.evidence.items():
            assert at(msgspec.json.decode(seen.sent), path) == value


@pytest.mark.parametrize(("column", "row", "cell"), CELLS)
def test_the_evidence_is_not_there_without_it(column: Column, row: Row, cell: Cell):
    if cell.evidence and row.used != row.unused:
        bare = replace(row, used=row.unused)
        sent = msgspec.json.decode(
            observe(column.translator, bare, model=cell.model or column.model).sent
        )
        assert any(at(sent, path) != value for path, value in cell.evidence.items())


def test_every_field_of_the_request_has_a_row():
    assert ChatCompletionRequest.model_fields.keys() <= {row.name for row in FIELDS}


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.dialect)
def test_no_cell_is_of_a_row_that_is_not_there(column: Column):
    assert column.cells.keys() <= {row.name for row in ROWS}


def test_the_page_is_up_to_date():
    text = README.read_text(encoding="utf-8")
    assert page(text) == text, "Run `make docs`."


@pytest.mark.parametrize("missing", ["seed", "`system` message"])
def test_a_cell_without_a_test_is_refused(missing: str):
    column = COLUMNS[0]
    cells = {name: cell for name, cell in column.cells.items() if name != missing}
    with pytest.raises(UntestedCell, match="has no test"):
        rendered([replace(column, cells=cells)])


def test_a_cell_without_a_verdict_is_refused():
    column = COLUMNS[0]
    rules = {name: rule for name, rule in column.rules.items() if name != "seed"}
    with pytest.raises(UntestedCell, match="has no verdict"):
        rendered([replace(column, rules=rules)])

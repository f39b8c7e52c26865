"""A cell of the matrix: what is expected of one row in one dialect, and where it shows."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fidelity.observation import AnyTranslator
from translators.fidelity import Rule

__all__ = ["Cell", "Column", "at", "emulated", "ignored", "native", "rejected", "shown_by"]


@dataclass(frozen=True)
class Cell:
    """What is expected.

    Attributes:
        verdict: As the dialect's table must have it.
        evidence: Where in what is sent the thing shows, and as what: paths such as
            `body/messages/0/role`. Nothing else proves that a thing was carried over.
        param: What a report or a refusal names; None: the row's own path.
        model: The model that is asked; None: the column's.
        elsewhere: The test that shows it, where the request does not: `file::function`.
    """

    verdict: str
    evidence: Mapping[str, Any] = field(default_factory=dict[str, Any])
    param: str | None = None
    model: str | None = None
    elsewhere: str | None = None


def native(evidence: Mapping[str, Any], *, model: str | None = None) -> Cell:
    """Return the cell of a thing that the target has too."""
    return Cell("native", evidence, model=model)


def shown_by(test: str, verdict: str = "native") -> Cell:
    """Return the cell of a thing that a translation alone does not show; see `elsewhere`."""
    return Cell(verdict, elsewhere=test)


def emulated(
    evidence: Mapping[str, Any], *, param: str | None = None, model: str | None = None
) -> Cell:
    """Return the cell of a thing that is reached by other means, and reported."""
    return Cell("emulated", evidence, param, model)


def ignored(param: str | None = None, *, model: str | None = None) -> Cell:
    """Return the cell of a hint that is not sent, and reported."""
    return Cell("ignored", param=param, model=model)


def rejected(param: str | None = None) -> Cell:
    """Return the cell of a thing that cannot be lost, and cannot be sent."""
    return Cell("rejected", param=param)


def at(value: Any, path: str) -> Any:
    """Return what is at a path such as `body/messages/0/role`, or None."""
    step, _, rest = path.partition("/")
    try:
        found = value[int(step)] if step.isdecimal() else value[step]
    except (KeyError, IndexError, TypeError):
        return None
    return at(found, rest) if rest else found


@dataclass(frozen=True)
class Column:
    """A dialect.

    Attributes:
        dialect: Its name.
        translator: Its translator, as a provider row without options has it.
        model: The model that is asked where a cell names none.
        cells: For each row what is expected; all but the first are for other models.
        rules: For each row the verdict and its reason, from the tables beside the translator.
    """

    dialect: str
    translator: AnyTranslator
    model: str
    cells: Mapping[str, tuple[Cell, ...]]
    rules: Mapping[str, Rule]

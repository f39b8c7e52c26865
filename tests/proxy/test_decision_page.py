"""The page about records and the log names every key there is, and no other."""

import re
from pathlib import Path

import pytest

from proxy import decision_log
from proxy.decisions import document

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "proxy" / "decisions" / "README.md").read_text(encoding="utf-8")


def keys(after: str) -> set[str]:
    """Return the names in the first column of the first table behind some words."""
    table = PAGE.partition(after)[2].partition("\n|")[2].partition("\n\n")[0]
    rows = [row.split("|")[0] for row in table.split("\n|")]
    return {name for row in rows[2:] for name in re.findall(r"`(\w+)`", row)}


@pytest.mark.parametrize(
    ("after", "kind"),
    [
        ("## The record", document.DecisionRecord),
        ("**An attempt**", document.CallRecord),
        ('**`"event":"request"`**', decision_log.Line),
    ],
)
def test_every_key_is_told(after: str, kind: type[document.DecisionRecord]) -> None:
    assert keys(after) == set(kind.__struct_fields__) - {"event"}


def test_every_verdict_is_told() -> None:
    assert keys("**A candidate**") == set(document.Verdict.__args__)
    for kind in (document.CandidateRecord, document.ErrorRecord, document.CacheRecord):
        for name in kind.__struct_fields__:
            assert f"`{name}`" in PAGE
    for name in document.Timings.__struct_fields__:
        assert f"`{name}`" in PAGE

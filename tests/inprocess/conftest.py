"""Fixtures of the tests of the in-process API."""

from pathlib import Path

import pytest

from tests.inprocess.sandboxed import clean


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The process as its user's: a directory without `.env`, and `EP_SANDBOX=1`."""
    clean(monkeypatch, tmp_path, EP_SANDBOX="1")

"""Golden files: what a test compares with, written by `UPDATE_GOLDEN=1` and reviewed as a diff."""

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["GOLDEN", "compare_json", "compare_text"]

GOLDEN = Path(__file__).parent / "golden"


def compare_json(path: Path, value: Any) -> None:
    """Check that a golden file holds `value`."""
    compare_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def compare_text(path: Path, text: str) -> None:
    """Check that a golden file holds `text`."""
    if os.environ.get("UPDATE_GOLDEN"):
        path.write_text(text, newline="")
    assert text == path.read_text(), f"{path} differs; UPDATE_GOLDEN=1 rewrites it"

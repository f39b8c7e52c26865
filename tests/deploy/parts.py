"""What checks of `deploy/` need beside Python's packages, and what becomes of them without it."""

import os
import shutil

import pytest

__all__ = ["need", "promtool_missing"]


def promtool_missing() -> str | None:
    """Return what to do where there is no promtool on this machine; None where there is."""
    if shutil.which("promtool") is not None:
        return None
    return "there is no promtool here: `make test` installs Debian's prometheus as root"


def need(missing: str | None) -> None:
    """Skip the test that calls this where something is missing; in CI it fails."""
    if missing is None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI needs it: {missing}")
    pytest.skip(missing)

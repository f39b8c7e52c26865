"""What `make` says before the tests of what needs more than Python."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MAKE = shutil.which("make")


@pytest.mark.skipif(MAKE is None, reason="there is no make here")
@pytest.mark.parametrize(
    ("ci", "status", "says"),
    [("true", 2, "CI needs Redis"), ("", 0, "its tests are skipped"), ("false", 0, "skipped")],
)
def test_without_redis_and_root_ci_ends_at_once_and_others_are_told(
    tmp_path: Path, ci: str, status: int, says: str
) -> None:
    nobody = tmp_path / "id"
    nobody.write_text("#!/bin/bash\necho 1000\n")
    nobody.chmod(0o755)
    done = subprocess.run(
        [str(MAKE), "redis-server"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        # No redis-server on the way, nor anything else.
        env={"PATH": str(tmp_path), "CI": ci},
        timeout=30,
    )
    assert done.returncode == status, done.stderr
    assert says in (done.stderr if status else done.stdout)


@pytest.mark.skipif(MAKE is None, reason="there is no make here")
def test_redis_is_looked_for_before_anything_is_installed() -> None:
    rule = next(
        line for line in (ROOT / "Makefile").read_text().splitlines() if line.startswith("test:")
    )
    needs = rule.partition("##")[0].split()
    assert needs.index("redis-server") == 1

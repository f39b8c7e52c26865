"""What a command finds around it: another package with our names, a `.env` file."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.serving import clean_environment


def run(*arguments: str, env: Mapping[str, str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "proxy", *arguments],
        env=clean_environment(env),
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_rival_is_found_by_what_it_leaves_in_the_environment(tmp_path: Path) -> None:
    metadata = tmp_path / "translators-6.0.4.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: translators\nVersion: 6.0.4\n")
    known = clean_environment()["PYTHONPATH"]
    paths = os.pathsep.join([str(tmp_path), known])
    done = run("personas", env={"PYTHONPATH": paths}, cwd=tmp_path)
    assert done.returncode == 1
    assert "`translators`, which is installed here, too" in done.stderr
    assert "environment of its own" in done.stderr


def test_the_environment_wins_over_a_dot_env_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("EP_ANTHROPIC_API_KEY=sk-ant-x\nEP_PORT=1234\n")
    done = run("check", env={"EP_PORT": "4321"}, cwd=tmp_path)
    assert "127.0.0.1:4321" in done.stdout
    assert "anthropic (claude" in done.stdout

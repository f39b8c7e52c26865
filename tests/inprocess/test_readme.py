"""What the README of the in-process API says is done: its blocks run as they stand."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.serving import ROOT, Proxy, clean_environment

FOLDER = ROOT / "proxy" / "inprocess"
README = (FOLDER / "README.md").read_text()
ELSEWHERE = {"quality_fabric.py"}
"""Told of with the service that it talks to."""

BLOCKS = re.findall(r"^```python ?(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


def output(code: str, folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=clean_environment({"EP_SANDBOX": "1"}),
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        (0, "> Design a REST API\n"),
        (0, "claude-sonnet-5 anthropic () 1\n"),
        (1, "openai\n"),
        (1, "> Plan the tests\n"),
        (2, "Rain in "),
        (3, "Did you mean `architect`"),
        (3, "openai 429 rate_limit_exceeded 60.0 req_"),
    ],
)
def test_a_block_runs(number: int, printed: str, tmp_path: Path) -> None:
    blocks = [code for tag, code in BLOCKS if not tag]
    assert len(blocks) == 4
    assert printed in output(blocks[number], tmp_path)


def test_the_block_before_a_running_proxy_runs(shipped: Proxy, tmp_path: Path) -> None:
    (code,) = [code for tag, code in BLOCKS if tag == "remote"]
    assert "> Hello\n" in output(code.replace("8080", str(shipped.port)), tmp_path)


def test_every_file_is_in_its_table() -> None:
    table = README.partition("## Inside")[2]
    for path in (FOLDER / "execution_platform").glob("[a-z]*.py"):
        if path.name not in ELSEWHERE:
            assert f"`{path.name}`" in table, path.name

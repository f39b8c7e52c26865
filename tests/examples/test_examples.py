"""Every example runs as it stands, and says what it is there to say."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Proxy, clean_environment

FOLDER = Path(__file__).parent
PROGRAMS = sorted(path.name for path in FOLDER.glob("[!_]*.py") if path.name != Path(__file__).name)
SAYS = {
    "decisions.py": ["x-ep-attempts: 1", "x-ep-ignored-params: seed", "x-ep-provider: openai"],
    "errors.py": ["Did you mean `architect`", "come back in 30 s", "it broke off after"],
    "in_process.py": ["Sandbox answer", "ignored: nothing]"],
    "picture.py": ["What is in this picture?"],
    "quality_gate.py": ["0 failing: passed", "2 failing: FAILED"],
    "review_board.py": ["architect (", "reviewer (", "qa_engineer (openai)"],
    "stream.py": ["Design a REST API for user management", "tokens, answered by"],
    "structured.py": ["endpoints"],
    "tools.py": ["get_weather(Oslo)", "rain, 4 °C"],
}


@pytest.fixture(scope="module")
def server() -> Iterator[Proxy]:
    with Proxy("--sandbox", env={"EP_POLICY": ""}) as proxy:
        yield proxy


@pytest.mark.parametrize("program", PROGRAMS)
def test_it_runs(server: Proxy, program: str, tmp_path: Path) -> None:
    environment = {
        **clean_environment(),
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_KEY": "anything",
        "EP_QUALITY_DB": str(tmp_path / "quality.db"),
        "PYTHONIOENCODING": "utf-8",
    }
    done = subprocess.run(
        [sys.executable, "-W", "error", str(FOLDER / program)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    for words in SAYS[program]:
        assert words in done.stdout, done.stdout


def test_the_page_names_every_one() -> None:
    page = (FOLDER / "README.md").read_text()
    assert [name for name in PROGRAMS if f"`{name}`" not in page] == []

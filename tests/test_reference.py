"""The API reference is made of the docstrings, as `make docs` does it."""

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api")
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pdoc", "--docformat", "google"]
        + ["--output-directory", str(folder), "execution_platform", "translators", "policy"],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert "Warn" not in done.stderr, done.stderr
    return folder


@pytest.mark.parametrize(
    ("page", "names"),
    [
        ("execution_platform/router.html", ["PersonaRouter", "select_provider", "get_client"]),
        ("execution_platform/spi.html", ["ChatRequest", "ChatChunk", "ToolDefinition", "Usage"]),
        ("execution_platform/exceptions.html", ["RouterError", "ProviderError", "TimeoutError"]),
        ("execution_platform/quality_fabric.html", ["QualityFabricClient"]),
        ("translators/protocol.html", ["StreamTranslator"]),
        ("policy/decision.html", ["decide"]),
    ],
)
def test_it_has_what_a_program_uses(reference: Path, page: str, names: list[str]) -> None:
    text = (reference / page).read_text(encoding="utf-8")
    assert [name for name in names if f'id="{name}' not in text and name not in text] == []

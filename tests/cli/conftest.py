"""The command line in this process."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.cli.command import Done, in_process
from tests.serving import WITHOUT_CLI


@pytest.fixture
def run(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[..., Done]:
    """Run a command in an empty directory, with the given variables and no others of ours."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str, env: Mapping[str, str] | None = None) -> Done:
        # Options become variables for worker processes; here they must not outlive the call.
        with monkeypatch.context() as patch:
            for name in ("EP_HOST", "EP_PORT", "EP_WORKERS", "EP_SANDBOX"):
                patch.setenv(name, "")
            patch.setenv("EP_POLICY", str(WITHOUT_CLI))
            return in_process(capsys, patch, arguments, env or {})

    return call

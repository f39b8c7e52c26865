"""Fixtures of the tests of the in-process API."""

import json
from pathlib import Path

import pytest

from tests.inprocess.sandboxed import Upstream, clean
from tests.providers import UPSTREAM_KEY, standard_policy
from tests.serving import SandboxProcess


@pytest.fixture
def sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The process as its user's: a directory without `.env`, and `EP_SANDBOX=1`."""
    clean(monkeypatch, tmp_path, EP_SANDBOX="1")


@pytest.fixture
def upstream(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, providers: SandboxProcess, scripted_port: int
) -> Upstream:
    """Providers whose counters can be read, and a policy with personas for all of them."""
    clean(monkeypatch, tmp_path, UPSTREAM_KEY=UPSTREAM_KEY)
    policy = tmp_path / "policy.yaml"
    policy.write_text(json.dumps(standard_policy(providers, scripted=scripted_port)))
    return Upstream(providers, policy)

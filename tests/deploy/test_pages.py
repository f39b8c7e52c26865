"""The pages of `deploy/`: what they name is there."""

import re
from pathlib import Path

import pytest

from tests.deploy.test_compose import SERVICES, sandbox
from tests.serving import ROOT

PAGES = sorted((ROOT / "deploy").rglob("README.md"))
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
PATH = re.compile(r"(?<![\w./-])deploy/[\w./-]*\w")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    assert links
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_paths_in_commands_are_there(page: Path) -> None:
    assert [path for path in PATH.findall(page.read_text()) if not (ROOT / path).exists()] == []


def test_the_first_commands_fit_what_compose_starts() -> None:
    text = (ROOT / "deploy" / "README.md").read_text()
    assert f"authorization: Bearer {sandbox()['EP_CLIENT_KEYS']}" in text
    published = {
        port.split(":")[-2].split("}")[0] for row in SERVICES.values() for port in row["ports"]
    } | {"8080"}
    assert set(re.findall(r"(?<=localhost:)\d+", text)) <= published


def test_every_variable_that_compose_asks_the_shell_for_is_explained() -> None:
    asked = set(re.findall(r"\$\{(\w+)", (ROOT / "deploy" / "compose.yaml").read_text()))
    pages = "".join(page.read_text() for page in PAGES)
    pages += (ROOT / "deploy" / "compose.yaml").read_text().split("\nname:")[0]
    assert [name for name in asked if name not in pages] == []

"""The pages of the dialects: their rows are policies that load, their files are those there are."""

import re
from pathlib import Path

import pytest

from policy.providers import DIALECTS
from proxy.config import load_policy

ROOT = Path(__file__).parent.parent
YAML = re.compile(r"^```yaml\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page(dialect: str) -> str:
    return (ROOT / "translators" / dialect / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_its_rows_load(dialect: str, tmp_path: Path) -> None:
    for number, text in enumerate(YAML.findall(page(dialect))):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text, encoding="utf-8")
        rows = load_policy(path, {}).providers.values()
        assert any(row.dialect == dialect or row.api == "responses" for row in rows)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_files_that_it_names_exist(dialect: str) -> None:
    folder = ROOT / "translators" / dialect
    there = {path.name for path in folder.glob("*.py")}
    named = set(re.findall(r"`(\w+\.py)`", page(dialect)))
    assert named - there == set()


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_translators_page_leads_to_it(dialect: str) -> None:
    text = (ROOT / "translators" / "README.md").read_text(encoding="utf-8")
    assert f"]({dialect}/README.md)" in text

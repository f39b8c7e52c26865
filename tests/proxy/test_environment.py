"""`.env` files and the process's environment."""

from pathlib import Path

import pytest

from proxy.environment import ConfigurationError, load_environment, non_empty, parse_env_file


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=x", "x"),
        ("A = x ", "x"),
        ("export A=x", "x"),
        ("A=", ""),
        ("A=x=y", "x=y"),
        ("A=x # a comment", "x"),
        ("A=x#y", "x#y"),
        ("A=# a comment", ""),
        ('A="x # y" # a comment', "x # y"),
        ('A="x\\n\\"y\\" \\\\ \\$"', 'x\n"y" \\ $'),
        ("A='x # \"y\" \\n'", 'x # "y" \\n'),
        ("A=$HOME", "$HOME"),
        ("A=1\nA=2", "2"),
        ("A=x\r\n", "x"),
        ("# A=1\n\n   A=2", "2"),
    ],
)
def test_lines(line: str, value: str) -> None:
    assert parse_env_file(line) == {"A": value}


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("sk-secret", ".env:2: the line is not of the form NAME=VALUE."),
        ("1A=sk-secret", ".env:2: the line is not of the form NAME=VALUE."),
        ("A B=sk-secret", ".env:2: the line is not of the form NAME=VALUE."),
        ('A="sk-secret', ".env:2: A: the quotes do not match."),
        ('A="x" sk-secret', ".env:2: A: the quotes do not match."),
        ("A='sk-secret", ".env:2: A: the quotes do not match."),
    ],
)
def test_wrong_lines_are_named_without_their_value(line: str, problem: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_env_file("B=1\n" + line)
    assert str(raised.value) == problem


def test_every_wrong_line_is_named() -> None:
    with pytest.raises(ConfigurationError) as raised:
        parse_env_file("x\nA=1\ny")
    assert len(raised.value.problems) == 2


def test_the_process_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("\ufeffEP_PORT=1\nEP_HOST=file\n", encoding="utf-8")
    monkeypatch.setenv("EP_HOST", "process")
    monkeypatch.delenv("EP_PORT", raising=False)
    environ = load_environment(tmp_path)
    assert (environ["EP_PORT"], environ["EP_HOST"]) == ("1", "process")


def test_the_working_directory_is_looked_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("EP_TEST_VALUE=1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert load_environment()["EP_TEST_VALUE"] == "1"


def test_no_file_is_no_error(tmp_path: Path) -> None:
    assert load_environment(tmp_path / "nowhere")
    (tmp_path / ".env").mkdir()
    assert load_environment(tmp_path)


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"A=\xff")
    with pytest.raises(ConfigurationError, match="not UTF-8"):
        load_environment(tmp_path)


def test_empty_is_unset() -> None:
    assert non_empty({"A": "", "B": "  ", "C": " x "}) == {"C": "x"}

"""The section `media` of the policy."""

import pytest

from policy.media import MediaRules
from tests.policy.building import made, refused


def test_the_defaults() -> None:
    assert made("").media == MediaRules(
        fetch=True,
        max_bytes=20 * 1024 * 1024,
        max_total_bytes=40 * 1024 * 1024,
        max_count=16,
        max_memory_bytes=256 * 1024 * 1024,
        timeout=10.0,
        allow_hosts=(),
    )


def test_a_key_changes_the_rule_of_its_name() -> None:
    media = made(
        "media: {fetch: false, timeout: 3, allow_hosts: [Files.Example, '[::1]:80']}"
    ).media
    assert media == MediaRules(fetch=False, timeout=3.0, allow_hosts=("files.example", "[::1]:80"))


@pytest.mark.parametrize(
    "host",
    ["a", "a.b-c.example", "a_b.example", "10.0.0.5", "10.0.0.5:8080", "[fd00::5]", "[fd00::5]:1"],
)
def test_hosts(host: str) -> None:
    assert made(f"media: {{allow_hosts: ['{host}']}}").media.allow_hosts == (host,)


@pytest.mark.parametrize(
    "host",
    [
        *("", "https://a.example", "a.example/x", "a b", "*.example", "fd00::5", "a:0", "a:99999"),
        *("a:b", "-a", "user@a", ".", "10.0.0.0/8", "müller.example"),
    ],
)
def test_what_is_no_host_is_refused(host: str) -> None:
    (error,) = refused(f"\nmedia:\n  allow_hosts:\n    - a.example\n    - '{host}'\n")
    assert (error.line, error.key) == (5, "media.allow_hosts[1]")
    assert "not a host" in error.problem
    assert "files.example.internal" in error.remedy


@pytest.mark.parametrize(
    ("text", "key", "problem", "remedy"),
    [
        ("fetsch: true", "fetsch", "unknown key `fetsch`", "Did you mean `fetch`?"),
        ("fetch: maybe", "fetch", "must be a valid boolean", ""),
        ("max_bytes: 0", "max_bytes", "greater than or equal to 1", ""),
        ("max_count: 1.5", "max_count", "must be a valid integer", ""),
        ("max_memory_bytes: 41943039", "max_memory_bytes", "41943040", "`max_total_bytes`"),
        ("timeout: 0", "timeout", "greater than 0", ""),
        ("timeout: .inf", "timeout", "finite", ""),
        ("allow_hosts: a", "allow_hosts", "must be a list", ""),
    ],
)
def test_errors(text: str, key: str, problem: str, remedy: str) -> None:
    (error,) = refused(f"media:\n  {text}\n")
    assert (error.line, error.key) == (2, f"media.{key}")
    assert problem in error.problem
    assert remedy in error.remedy

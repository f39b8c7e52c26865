"""Which addresses only this machine reaches."""

import pytest

from proxy.addresses import is_loopback


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost", "::ffff:127.0.0.1"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.1.2.3", "::ffff:10.1.2.3", "localhost.example", "", "127.0.0.1.x"]
)
def test_others(host: str) -> None:
    assert not is_loopback(host)

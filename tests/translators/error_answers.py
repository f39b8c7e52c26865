"""Error answers that are not the provider's own, for the tests of every dialect."""

from translators.errors import ProviderError

__all__ = ["FOREIGN_BODIES", "FOREIGN_STATUSES", "check_foreign"]

FOREIGN_BODIES = [
    b"",
    b"<html>Bad gateway</html>",
    b"[]",
    b"[7]",
    b'"x"',
    b'{"error":"x"}',
    b"{}",
    b"\xff",
    b"[" * 9999,
]
"""What a gateway or another server may answer with."""

FOREIGN_STATUSES = [
    (502, "server"),
    (503, "overloaded"),
    (404, "protocol"),
    (413, "too_large"),
    (302, "protocol"),
]
"""Statuses, and the kind of error each means where the body says nothing."""


def check_foreign(error: ProviderError, status: int, kind: str) -> None:
    """Check that the status alone tells what happened, and that no page is passed on."""
    assert (error.kind, error.status) == (kind, status)
    assert str(status) in error.message
    assert "<" not in error.message

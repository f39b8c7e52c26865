"""Who may ask: client keys. Who may see the metrics."""

import hashlib
import hmac
from collections.abc import Iterable, Sequence

from pydantic import SecretStr
from starlette.types import Scope

from policy.schema import ClientKey
from proxy.exchange import ANYBODY, Caller
from translators.errors import AccessDenied

__all__ = ["Access", "admit_scraper"]


class Access:
    """Knows the client keys, by their SHA-256 only.

    Args:
        keys: From the environment, in the clear.
        hashed: From the policy.
    """

    def __init__(self, keys: Iterable[str], hashed: Sequence[ClientKey]) -> None:
        self._callers = [
            _known(hashlib.sha256(key.encode()).digest(), f"key {number}")
            for number, key in enumerate(keys, start=1)
        ]
        for row in hashed:
            personas = None if row.personas is None else frozenset(row.personas)
            self._callers.append(_known(bytes.fromhex(row.sha256), row.name, personas))

    @property
    def open(self) -> bool:
        """Whether anybody may ask, for want of keys."""
        return not self._callers

    def caller(self, scope: Scope) -> Caller:
        """Return who sent a request.

        Raises:
            AccessDenied: The key is missing or wrong.
        """
        if not self._callers:
            return ANYBODY
        key = _bearer(scope)
        if not key:
            raise AccessDenied(
                "You didn't provide an API key. Send one of this server's client keys as "
                "`authorization: Bearer …`.",
            )
        digest = hashlib.sha256(key).digest()
        found: Caller | None = None
        # Every key is compared, whichever matches: the time says nothing about the keys.
        for known, caller in self._callers:
            if hmac.compare_digest(known, digest):
                found = caller
        if found is None:
            raise AccessDenied("Incorrect API key provided: it is none of this server's keys.")
        return found


def admit_scraper(scope: Scope, access: Access, *, key: SecretStr | None, anybody: bool) -> None:
    """Let in whoever may see the metrics: they tell names of personas, providers and client keys.

    Args:
        scope: Of the request.
        access: The client keys; none of them opens the metrics.
        key: What does.
        anybody: Whether everybody may see them.

    Raises:
        AccessDenied: It is somebody else.
    """
    if anybody or (key is None and access.open):
        return
    if key is None:
        raise AccessDenied(
            "Nobody may see the metrics of this server, which has client keys. Start it with "
            "EP_METRICS_KEY, a key for whoever scrapes them, or with EP_METRICS_OPEN=1, where "
            "anybody who reaches it may see them."
        )
    # Of sums, so that the time says nothing of the length either.
    sums = [
        hashlib.sha256(text).digest() for text in (key.get_secret_value().encode(), _bearer(scope))
    ]
    if not hmac.compare_digest(*sums):
        raise AccessDenied(
            "The metrics are for those who send the key of EP_METRICS_KEY, as "
            "`authorization: Bearer …`. A client key does not open them."
        )


def _known(
    digest: bytes, name: str, personas: frozenset[str] | None = None
) -> tuple[bytes, Caller]:
    return digest, Caller(name, personas, tenant=digest.hex())


def _bearer(scope: Scope) -> bytes:
    for name, value in scope["headers"]:
        if name == b"authorization":
            scheme, _, key = value.partition(b" ")
            if scheme.lower() == b"bearer":
                return key.strip()
        elif name == b"api-key":
            # Azure's clients send the key like this.
            return value.strip()
    return b""

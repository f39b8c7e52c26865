"""What is said of a provider that is not reached, or that breaks off: by both clients alike."""

import os
import ssl
from socket import gaierror
from typing import Final

from translators.errors import ProviderError

__all__ = [
    "PROXY_AUTHENTICATION",
    "broken",
    "garbled",
    "refused_by_proxy",
    "unreachable",
    "unusable_url",
]

PROXY_AUTHENTICATION: Final = 407
"""The status by which a forward proxy asks for credentials (RFC 9110, 15.5.8)."""


def broken(cause: BaseException | None = None) -> ProviderError:
    """Return the error for a connection that broke; `cause` becomes its cause."""
    error = ProviderError(
        "The connection to the provider broke before the answer was complete.", kind="network"
    )
    error.__cause__ = cause or ConnectionResetError("the other side closed the connection")
    return error


def garbled(why: str, cause: BaseException | None = None) -> ProviderError:
    """Return the error for an answer that is not to be understood, or not to be trusted.

    Args:
        why: A clause in our own words, or the parser's; nothing that the provider sent.
        cause: Becomes its cause.
    """
    error = ProviderError(f"The provider's answer is no valid HTTP: {why}.", kind="network")
    error.__cause__ = cause
    return error


def unreachable(host: str, port: int | None, cause: OSError) -> ProviderError:
    """Return the error for a server to which no connection was made; `cause` becomes its cause."""
    if isinstance(cause, ssl.SSLCertVerificationError):
        why = f"its certificate is not accepted ({cause.verify_message})"
    elif isinstance(cause, ssl.SSLError):
        reason = str(cause.reason or "it broke off").replace("_", " ").lower()
        why = f"the TLS handshake failed ({reason})"
    elif cause.errno and not isinstance(cause, gaierror):
        # The event loops' own words are about addresses.
        why = os.strerror(cause.errno)
    else:
        why = cause.strerror or type(cause).__name__
    error = ProviderError(
        f"The provider at {host}:{port} cannot be reached: {why}.", kind="network"
    )
    error.__cause__ = cause
    return error


def refused_by_proxy(place: str, status: int) -> ProviderError:
    """Return the error for a forward proxy that opens no tunnel."""
    return ProviderError(
        f"The forward proxy at {place} does not let us through: it answers with status {status}.",
        kind="network",
    )


def unusable_url(cause: BaseException | None = None) -> ProviderError:
    """Return the error for a base URL that is none; `cause` becomes its cause."""
    error = ProviderError("The provider's base URL is not a URL.", kind="network")
    error.__cause__ = cause
    return error

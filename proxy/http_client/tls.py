"""What TLS connections to providers begin with."""

import ssl
from functools import lru_cache

__all__ = ["client_context"]


@lru_cache(maxsize=1)
def client_context() -> ssl.SSLContext:
    """Return the context of all connections: made once, it takes 20 ms to read what to trust.

    Certificates are verified against what the system trusts, or against `SSL_CERT_FILE` and
    `SSL_CERT_DIR`, which OpenSSL reads itself. Nothing but HTTP/1.1 is offered.
    """
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context

"""Which HTTP client is used, and how it gets out of this machine."""

import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from proxy.environment import ConfigurationError
from proxy.http_client.proxies import Proxies

__all__ = ["CLIENTS", "ClientKind", "ClientOptions"]

ClientKind = Literal["native", "aiohttp"]

CLIENTS: Final[tuple[ClientKind, ...]] = get_args(ClientKind)

_NO_PROXIES: Final = Proxies({})


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """How the clients of a process are made.

    Attributes:
        kind: Which of the two; our own is the default, which costs less and is tested as much.
        proxies: Forward proxies.
        tls: Instead of what the system trusts, or `SSL_CERT_FILE`; for `https` alone.
    """

    kind: ClientKind = "native"
    proxies: Proxies = field(default=_NO_PROXIES)
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(
        cls, environment: Mapping[str, str] | None = None, kind: ClientKind | None = None
    ) -> "ClientOptions":
        """Return what an environment says.

        Args:
            environment: None: the process's.
            kind: None: as `EP_HTTP_CLIENT` says.

        Raises:
            ConfigurationError: That names neither.
        """
        found = os.environ if environment is None else environment
        named = kind or found.get("EP_HTTP_CLIENT", "").strip().lower() or "native"
        for known in CLIENTS:
            if known == named:
                return cls(known, Proxies(found))
        raise ConfigurationError(f"EP_HTTP_CLIENT must be one of {', '.join(CLIENTS)}.")

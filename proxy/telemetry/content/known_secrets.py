"""The secrets that the server knows, which captured content must not repeat."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from policy.schema import Policy

__all__ = ["known_secrets", "presented_keys"]

LEAST: Final = 8
"""Characters of what may be a secret, going by its name alone: `1` and `true` are none."""

_NAMES: Final = re.compile(r"(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASSPHRASE)(?:_ID)?", re.I)
_HEADERS: Final = re.compile(r"OTEL_EXPORTER_OTLP_(?:[A-Z]+_)?HEADERS")
_PASSWORD: Final = re.compile(r"://[^\s/?#:]*:([^\s/?#]+)@")


def known_secrets(
    policy: Policy, environment: Mapping[str, str], client_keys: Iterable[str] = ()
) -> set[str]:
    """Return the secrets of a server.

    Those are the keys of clients and providers; whatever of the environment is named like a key,
    a token, a secret or a password; passwords in addresses; the headers for the collector; and
    the values of headers that the policy has. Of client keys that the policy has, only the sums
    are known: see `presented_keys`.

    Args:
        policy: Names variables and headers.
        environment: The process's variables.
        client_keys: Those of the environment.
    """
    found = set(client_keys)
    for row in policy.providers.values():
        found |= {environment.get(name, "").strip() for name in row.api_key_env}
        headers = list(row.headers.values())
        for server in () if row.agent is None else row.agent.mcp_servers.values():
            headers += [environment.get(name, "") for name in server.headers_env.values()]
        found |= {part for value in headers for part in _parts(value)}
    for name, value in environment.items():
        if _NAMES.fullmatch(name.rpartition("_")[2]) and len(value.strip()) >= LEAST:
            found.add(value.strip())
        elif _HEADERS.fullmatch(name):
            found |= set(_of_headers(value))
        found |= set(_PASSWORD.findall(value))
    found.discard("")
    return found


def presented_keys(headers: Iterable[tuple[bytes, bytes]]) -> list[str]:
    """Return what a caller shows to be let in, from the headers of its request."""
    found: list[str] = []
    for name, value in headers:
        if name in (b"authorization", b"api-key", b"x-api-key"):
            found += _parts(value.decode("latin-1"))
    return found


def _of_headers(value: str) -> Iterator[str]:
    """Yield the values of `name=value,name=value`, as the exporters read it (W3C baggage)."""
    for entry in value.split(","):
        _, _, content = entry.partition("=")
        yield from _parts(content)
        yield from _parts(unquote(content))


def _parts(value: str) -> list[Any]:
    """Return a header's value, and what stands behind its scheme, such as `Bearer`."""
    value = value.strip()
    return [part for part in (value, value.rpartition(" ")[2]) if len(part) >= LEAST]

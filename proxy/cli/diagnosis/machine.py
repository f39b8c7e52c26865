"""The machine: Python, packages, descriptors, the temporary directory, the clock, the address."""

import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from policy.schema import ProviderRow
from proxy import __version__, server
from proxy.cli.diagnosis.findings import Finding
from proxy.cli.installation import check_installation
from proxy.environment import ConfigurationError
from proxy.service import Configuration, access_of

__all__ = [
    "address_finding",
    "clock_finding",
    "descriptors_finding",
    "extra_findings",
    "installation_finding",
    "temporary_finding",
    "workers_finding",
]

STREAMS: Final = 1000
"""Open streams that there should be room for: two descriptors each, to client and provider."""

DESCRIPTORS: Final = 2 * STREAMS + 200

WRONG_CLOCK: Final = 240.0
"""Seconds. AWS refuses signatures that are five minutes off (`RequestTimeTooSkewed`)."""

INEXACT_CLOCK: Final = 30.0

_YEARS: Final = range(2026, 2100)

_EXTRAS: Final = {
    "claude-agent": "claude-agent-sdk",
    "vertex": "google-auth",
    "bedrock": "botocore",
    "redis": "redis",
}
"""Extra to the distribution that it brings."""


def installation_finding() -> Finding:
    """Say whether our packages are ours."""
    try:
        check_installation()
    except ConfigurationError as error:
        found, _, remedy = error.message.partition(". ")
        return Finding("installation", "", "failed", found, remedy)
    python = ".".join(map(str, sys.version_info[:3]))
    return Finding("installation", "", "ok", f"{__version__} on Python {python}, {sys.prefix}")


def extra_findings(configuration: Configuration, rows: Mapping[str, ProviderRow]) -> list[Finding]:
    """Say which of the extras that a configuration needs are there; nothing of the others."""
    needed: set[str] = set()
    for row in rows.values():
        if row.enabled and row.dialect == "claude_agent":
            needed.add("claude-agent")
        elif row.enabled and row.credentials in ("vertex", "bedrock"):
            keys = configuration.environment
            if row.credentials == "vertex" or not any(keys.get(n) for n in row.api_key_env):
                needed.add(row.credentials)
    if configuration.settings.redis_url is not None:
        needed.add("redis")
    return [_extra(name) for name in sorted(needed)]


def _extra(name: str) -> Finding:
    package = _EXTRAS[name]
    try:
        return Finding("extra", name, "ok", f"{package} {version(package)}")
    except PackageNotFoundError:
        # Providers are passed over without theirs; with `EP_REDIS_URL` nothing starts.
        status = "failed" if name == "redis" else "warning"
        remedy = f"pip install 'execution-platform[{name}]'"
        return Finding("extra", name, status, f"{package} is not installed", remedy)


def descriptors_finding(limit: int | None = None) -> Finding:
    """Say how many streams the limit of open files lets be open.

    Args:
        limit: Instead of the process's own.
    """
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if limit is None else limit
    if limit == resource.RLIM_INFINITY or limit >= DESCRIPTORS:
        return Finding("open files", "", "ok", f"enough for {STREAMS:,} streams")
    found = f"at most {limit}: room for about {max(0, (limit - 200) // 2)} streams"
    remedy = (
        f"Start the server behind `ulimit -n {2 * DESCRIPTORS}`, or set LimitNOFILE in systemd."
    )
    return Finding("open files", "", "warning", found, remedy)


def temporary_finding(*, needed: bool) -> Finding:
    """Say whether the temporary directory takes a file; the Claude CLI's processes live there."""
    try:
        folder = tempfile.gettempdir()
        with tempfile.TemporaryFile() as file:
            file.write(b"x" * 4096)
            file.flush()
    except OSError as error:
        found = error.strerror or str(error)
        remedy = "Free some room, or name a directory that can be written in TMPDIR."
        return Finding("temporary files", "", "failed" if needed else "warning", found, remedy)
    return Finding("temporary files", "", "ok", folder)


def clock_finding(offsets: Mapping[str, float], now: float | None = None) -> Finding:
    """Say whether the clock is right.

    Args:
        offsets: For each server, the seconds by which its clock is ahead of ours. The nearest
            counts: one server's clock may be wrong itself.
        now: Seconds since 1970; None: by the clock.
    """
    year = datetime.fromtimestamp(time.time() if now is None else now, UTC).year
    remedy = "Set the clock: `timedatectl set-ntp true`, or the host's where this is a container."
    if year not in _YEARS:
        return Finding("clock", "", "failed", f"it says that this is the year {year}", remedy)
    if not offsets:
        found = f"the year is {year}; no server was asked for the time"
        return Finding("clock", "", "ok", found)
    who, offset = min(offsets.items(), key=lambda item: abs(item[1]))
    if abs(offset) <= INEXACT_CLOCK:
        return Finding("clock", "", "ok", f"as {who} has it")
    way = "behind" if offset > 0 else "ahead of"
    found = f"it is {abs(offset):.0f} s {way} that of {who}"
    if abs(offset) <= WRONG_CLOCK:
        return Finding("clock", "", "warning", found, remedy)
    return Finding("clock", "", "failed", f"{found}: clouds refuse requests signed so", remedy)


def address_finding(configuration: Configuration, *, is_ours: bool) -> Finding:
    """Say whether the server can listen where it is told to.

    Args:
        configuration: Address, port and client keys.
        is_ours: Whether what listens there already answers as a server of ours does.
    """
    settings = configuration.settings
    place = f"{settings.host}:{settings.port}"
    if is_ours:
        return Finding("address", place, "ok", "a server like this one listens there already")
    try:
        server.bind(configuration, insecure=False).close()
    except ConfigurationError as error:
        # Of the form `what is wrong: what to do`, as that of a provider.
        found, _, remedy = error.message.partition(": ")
        remedy = f"{remedy[:1].upper()}{remedy[1:]}"
        return Finding("address", place, "failed", found, remedy)
    who = "anybody on this machine may ask"
    if not access_of(configuration).open:
        who = "client keys are required"
    return Finding("address", place, "ok", f"it is free; {who}")


def workers_finding(configuration: Configuration) -> Finding | None:
    """Say whether several processes share what a conversation leaves for its next turn."""
    settings = configuration.settings
    store = configuration.policy.reasoning_store
    if settings.workers < 2 or settings.redis_url is not None or not store.enabled:
        return None
    return Finding(
        "workers",
        "",
        "warning",
        f"{settings.workers} processes, and each keeps the reasoning of models to itself",
        "Set EP_REDIS_URL, or the next turn may reach a process that does not have the context.",
    )

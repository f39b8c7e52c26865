"""What a check found, in a form for people and for programs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from proxy import __version__

__all__ = ["Finding", "Status", "as_json", "secrets_of", "split_reason", "without_secrets", "worst"]

Status = Literal["ok", "warning", "failed", "skipped"]

SHORTEST: Final = 6
"""Characters of a secret that is looked for: shorter ones are parts of ordinary words."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        name: The check.
        subject: What was checked, where there are several: a provider, a variable.
        status: `failed` where requests fail for it, or the server does not start; `warning` where
            some of them do, or something is worse than it could be.
        found: What there is. Never a secret.
        remedy: What to do; empty where nothing is to be done.
    """

    name: str
    subject: str
    status: Status
    found: str
    remedy: str = ""


_COMMANDS = ("pip ", "npm ", "chmod ")
"""What a remedy begins with that is to be typed as it stands."""


def worst(findings: Iterable[Finding]) -> Status:
    """Return the status of all findings together; those that were skipped do not count."""
    found = {finding.status for finding in findings}
    return "failed" if "failed" in found else "warning" if "warning" in found else "ok"


def as_json(findings: Sequence[Finding]) -> dict[str, Any]:
    """Return the document that `doctor --json` prints; README.md describes it."""
    return {
        "version": __version__,
        "status": worst(findings),
        "findings": [
            {
                "name": finding.name,
                "subject": finding.subject or None,
                "status": finding.status,
                "found": finding.found,
                "remedy": finding.remedy or None,
            }
            for finding in findings
        ],
    }


def split_reason(reason: str) -> tuple[str, str]:
    """Return what is missing and what to do, from a text of the form `what: what to do`."""
    what, colon, remedy = reason.partition(": ")
    if not colon or not remedy:
        return reason, ""
    if remedy.startswith(_COMMANDS):
        return what, remedy
    return what, f"{remedy[0].upper()}{remedy[1:]}."


def secrets_of(environment: Mapping[str, str]) -> frozenset[str]:
    """Return what must not be printed: keys, and the passwords in addresses."""
    found: set[str] = set()
    for name, value in environment.items():
        if name.upper().endswith(("_KEY", "_KEYS", "_TOKEN", "_SECRET", "PASSWORD", "_HEADERS")):
            found |= {value.strip(), *(part.strip() for part in value.split(","))}
        elif "://" in value:
            try:
                found.add(urlsplit(value).password or "")
            except ValueError:
                # Not an address: nothing of it is printed.
                continue
    return frozenset(secret for secret in found if len(secret) >= SHORTEST)


def without_secrets(finding: Finding, secrets: Iterable[str]) -> Finding:
    """Return a finding that can be printed, whatever a server or a file had put into it."""
    return replace(
        finding,
        found=_printable(finding.found, secrets),
        remedy=_printable(finding.remedy, secrets),
    )


def _printable(text: str, secrets: Iterable[str]) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "[secret]")
    return "".join(c if c.isprintable() else " " for c in text)

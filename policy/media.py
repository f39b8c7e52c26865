"""What the server may fetch for a request that names media by address."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from policy.rows import Row, problem, problems

__all__ = ["MediaRules"]

MIB = 1024 * 1024

_HOST = re.compile(
    r"(?P<name>[a-z0-9]([a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])(:(?P<port>[0-9]{1,5}))?"
)


def _host(value: str) -> str:
    found = _HOST.fullmatch(value.lower())
    if found is None or not 0 < int(found["port"] or 1) < 65536:
        raise problem(
            "this is not a host",
            "Write a name or an address, and a port where it is not 80 or 443: "
            "`files.example.internal`, `10.0.0.5:8080`, `[fd00::5]`.",
        )
    return value.lower()


class MediaRules(Row):
    """Rules for fetching media that a provider does not fetch itself.

    Attributes:
        fetch: Whether anything is fetched at all.
        max_bytes: Of one address.
        max_total_bytes: Of all addresses of one request.
        max_count: Different addresses in one request.
        max_memory_bytes: Of what is fetched for all requests together, until their answers begin;
            one client key has at most half of it.
        timeout: Seconds that all of a request's media may take, from when it is their turn, and
            that are waited for the turn.
        allow_hosts: Hosts that may have private addresses, and speak plain HTTP: `host` on the
            ports 80 and 443, `host:port` on that port. All others must be public and speak HTTPS.
    """

    fetch: bool = True
    max_bytes: int = Field(default=20 * MIB, ge=1)
    max_total_bytes: int = Field(default=40 * MIB, ge=1)
    max_count: int = Field(default=16, ge=1)
    max_memory_bytes: int = Field(default=256 * MIB, ge=1)
    timeout: float = Field(default=10.0, gt=0)
    allow_hosts: Annotated[
        tuple[Annotated[str, AfterValidator(_host)], ...], Field(strict=False)
    ] = ()

    @model_validator(mode="after")
    def _a_request_has_room(self) -> "MediaRules":
        if self.max_memory_bytes < self.max_total_bytes:
            wrong = problem(
                f"this is less than one request may have, {self.max_total_bytes}",
                "Raise it, or lower `max_total_bytes`.",
            )
            raise problems([(("max_memory_bytes",), wrong)])
        return self

"""Asking a server what became of a request."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from tests.http.wire import new_client
from tests.serving import Proxy

__all__ = ["asked", "bearer", "record", "verdicts"]

PATH = "/v1/ep/decisions"


def bearer(key: str) -> dict[str, str]:
    """Return the header of a client key."""
    return {"authorization": f"Bearer {key}"}


async def asked(
    proxy: Proxy, request_id: str, headers: Mapping[str, str] | None = None
) -> httpx.Response:
    """Ask once, on a connection of its own."""
    async with new_client(proxy) as client:
        return await client.get(f"{PATH}/{request_id}", headers=headers)


async def record(
    proxy: Proxy,
    request_id: str,
    *,
    headers: Mapping[str, str] | None = None,
    state: str = "over",
    seconds: float = 10.0,
) -> dict[str, Any]:
    """Return the record of a request once it is in a state: that comes a moment after its end."""
    deadline = asyncio.get_running_loop().time() + seconds
    while True:
        answer = await asked(proxy, request_id, headers)
        if answer.status_code == 200 and answer.json()["state"] == state:
            return answer.json()
        assert asyncio.get_running_loop().time() < deadline, answer.text
        await asyncio.sleep(0.02)


def verdicts(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the candidates of a record, each with what became of it."""
    return [(one["provider"], one["verdict"]) for one in found["candidates"]]

"""Plays a stream's events onto the wire, with the pauses and faults the directives ask for."""

import asyncio
from collections.abc import Iterator

from proxy.sandbox.dialect import Dialect
from proxy.sandbox.directives import Directives
from proxy.sandbox.exchange import Exchange

__all__ = ["play", "silence"]

# Events sent in a row before the loop's other tasks get a turn.
_BURST = 8


async def silence() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()


async def play(
    exchange: Exchange, dialect: Dialect, events: Iterator[bytes], directives: Directives
) -> None:
    """Send the events one by one, then end the body; the headers must have been sent.

    Faults are counted in events: `cut=3` lets three through. A number beyond the stream's length
    changes nothing.
    """
    writer = _Writer(exchange, directives.bytes)
    for position, event in enumerate(events):
        if await _faulted(exchange, dialect, directives, position=position, writer=writer):
            return
        if position == 1 and directives.first:
            await asyncio.sleep(directives.first)
        elif position and directives.gap:
            await asyncio.sleep(directives.gap)
        elif position % _BURST == _BURST - 1:
            await asyncio.sleep(0)
        await writer.send(event)
    await exchange.finish()


async def _faulted(
    exchange: Exchange,
    dialect: Dialect,
    directives: Directives,
    *,
    position: int,
    writer: "_Writer",
) -> bool:
    """Do what is planned for this position; say whether the stream ends by it."""
    if position == directives.garbage:
        await writer.send(dialect.malformed())
    if position == directives.cut:
        await exchange.abort()
        return True
    if position == directives.eof:
        await exchange.finish()
        return True
    if position == directives.error:
        await writer.send(dialect.stream_error(directives))
        await exchange.finish()
        return True
    if position == directives.stall:
        await silence()
    return False


class _Writer:
    """Sends events whole, or all bytes in pieces of a fixed size."""

    def __init__(self, exchange: Exchange, size: int | None) -> None:
        self._exchange = exchange
        self._size = size

    async def send(self, event: bytes) -> None:
        if self._size is None:
            await self._exchange.write(event)
            return
        for start in range(0, len(event), self._size):
            await self._exchange.write(event[start : start + self._size])
            # Each piece is to reach the client by itself, as far as the loop can help it.
            await asyncio.sleep(0)

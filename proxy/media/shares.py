"""A number of things that requests share, of which nobody may have all."""

import asyncio
from collections import deque

__all__ = ["Shares"]


class Shares:
    """Gives out `total` things, and no more than `share` to one tenant.

    Who has least is served first, and a tenant's requests in their order: who wants much waits
    until there is much, and is not passed by those who want little.
    """

    def __init__(self, total: int, share: int) -> None:
        self._share = min(share, total)
        self._left = total
        self._used: dict[str, int] = {}
        self._waiting: dict[str, deque[tuple[int, asyncio.Future[None]]]] = {}

    @property
    def left(self) -> int:
        """How many nobody has."""
        return self._left

    async def take(self, tenant: str, amount: int) -> None:
        """Wait for some, to be given back. More than a tenant's share are never had."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(tenant, deque()).append((amount, turn))
        self._serve()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._serve()
            else:
                self.give(tenant, amount)
            raise

    def give(self, tenant: str, amount: int) -> None:
        """Give some back."""
        self._left += amount
        self._used[tenant] -= amount
        if not self._used[tenant]:
            del self._used[tenant]
        self._serve()

    def _serve(self) -> None:
        while (tenant := self._next()) is not None:
            amount, turn = self._waiting[tenant][0]
            if amount > self._left:
                return
            self._waiting[tenant].popleft()
            self._left -= amount
            self._used[tenant] = self._used.get(tenant, 0) + amount
            turn.set_result(None)

    def _next(self) -> str | None:
        """Return who is to be served; None where nobody waits who may have more."""
        for tenant, waiting in list(self._waiting.items()):
            while waiting and waiting[0][1].done():
                waiting.popleft()
            if not waiting:
                del self._waiting[tenant]
        may = [
            tenant
            for tenant, waiting in self._waiting.items()
            if self._used.get(tenant, 0) + waiting[0][0] <= self._share
        ]
        return min(may, key=lambda tenant: self._used.get(tenant, 0), default=None)

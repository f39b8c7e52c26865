"""How many requests run at the same time, and how many may wait for their turn.

A process of the CLI takes about 200 MB and half a second of a processor: more of them than the
machine can bear would fail all of them.
"""

import asyncio
from collections import deque

from translators.errors import ProviderError

__all__ = ["Admission"]


class Admission:
    """Lets in as many as may run; the others wait in line, if the line is not too long.

    Args:
        most: How many may be in.
        queue: How many may wait.
        patience: The longest wait, in seconds.
        retry_after: What those are told who are turned away, in seconds.
    """

    def __init__(self, *, most: int, queue: int, patience: float, retry_after: float) -> None:
        self._most = most
        self._queue = queue
        self._patience = patience
        self._retry_after = retry_after
        self._inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def inside(self) -> int:
        """How many are in."""
        return self._inside

    @property
    def waiting(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def enter(self) -> None:
        """Come in, at once or after a wait.

        Raises:
            ProviderError: The line is full, or the wait was too long; kind `rate_limit`.
        """
        if self._inside < self._most:
            self._inside += 1
            return
        if len(self._waiting) >= self._queue:
            raise self._full(f"and {self._queue} more wait")
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            self._give_up(turn)
            if isinstance(error, TimeoutError):
                raise self._full(f"and none ended within {self._patience:g} s") from error
            raise

    def leave(self) -> None:
        """Go; the place is the next one's in line."""
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._inside -= 1

    def _give_up(self, turn: "asyncio.Future[None]") -> None:
        if turn.done() and not turn.cancelled():
            # The place came in the same moment: it is the next one's.
            self.leave()
        elif turn in self._waiting:
            self._waiting.remove(turn)

    def _full(self, why: str) -> ProviderError:
        error = ProviderError(
            f"As many Claude processes run as this server may have ({self._most}), {why}.",
            kind="rate_limit",
            retry_after=self._retry_after,
        )
        error.own_limit = True
        return error

"""How many bytes one request's media may have, and how many are kept free for them."""

from policy.media import MediaRules
from proxy.media.addresses import MediaProblem
from proxy.media.shares import Shares

__all__ = ["Allowance", "memory"]


def memory(rules: MediaRules) -> Shares:
    """Return the bytes that all requests share: a tenant gets half, or a request's most."""
    most = rules.max_memory_bytes
    return Shares(most, max(most // 2, rules.max_total_bytes))


class Allowance:
    """Bytes taken from all requests' for one of them: at first the most that may come.

    Attributes:
        used: How many came.
    """

    def __init__(self, rules: MediaRules, shares: Shares, tenant: str, count: int) -> None:
        self._rules = rules
        self._shares = shares
        self._tenant = tenant
        self._most = dict.fromkeys(range(count), rules.max_bytes)
        self._held = 0
        self.used = 0

    async def take(self) -> None:
        """Wait for the bytes."""
        needed = self._needed
        await self._shares.take(self._tenant, needed)
        self._held = needed

    def expect(self, number: int, size: int | None) -> None:
        """Say how large one of the media is going to be at most; None: its server does not say."""
        if size is not None:
            self._most[number] = min(size, self._rules.max_bytes)
            self._shrink(self._needed)

    def count(self, size: int) -> None:
        """Count `size` more bytes.

        Raises:
            MediaProblem: They are too many.
        """
        self.used += size
        if self.used > self._rules.max_total_bytes:
            most = self._rules.max_total_bytes
            text = f"the request's media together are larger than {most} bytes"
            raise MediaProblem("too_large", text)

    def keep(self, size: int) -> None:
        """Keep the bytes of the media that are there, and give the others back."""
        self._shrink(size)

    def release(self) -> None:
        """Give all of them back."""
        self._shrink(0)

    @property
    def _needed(self) -> int:
        return min(sum(self._most.values()), self._rules.max_total_bytes)

    def _shrink(self, to: int) -> None:
        if (back := self._held - to) > 0:
            self._held = to
            self._shares.give(self._tenant, back)

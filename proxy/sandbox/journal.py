"""What the sandbox remembers of its requests, so that tests can ask what arrived and what left."""

from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from proxy.sandbox.jsontypes import JsonObject

__all__ = ["Journal", "Tally"]

_REMEMBERED = 200


@dataclass(slots=True)
class Tally:
    """The requests of one dialect: each one started is finished, aborted or still open."""

    started: int = 0
    finished: int = 0
    open: int = 0
    aborted_by_client: int = 0


@dataclass(slots=True)
class Journal:
    """Counters and the last requests of one sandbox."""

    tallies: dict[str, Tally] = field(default_factory=dict[str, Tally])
    connections_opened: int = 0
    requests: deque[JsonObject] = field(
        default_factory=lambda: deque[JsonObject](maxlen=_REMEMBERED)
    )
    attempts: dict[str, int] = field(default_factory=dict[str, int])
    serial: int = 0

    def next_serial(self) -> int:
        """Return the number that the ids of the next answer are made from."""
        self.serial += 1
        return self.serial

    def tally(self, dialect: str) -> Tally:
        """Return the counters of `dialect`."""
        return self.tallies.setdefault(dialect, Tally())

    def record(self, method: str, path: str, headers: Mapping[str, str], body: object) -> None:
        """Remember one request as it arrived; keys are kept, since they are fake."""
        self.requests.append(
            {"method": method, "path": path, "headers": dict(headers), "body": body}
        )

    def forget(self) -> None:
        """Forget the requests, and the uses of `times` groups."""
        self.requests.clear()
        self.attempts.clear()

    def stats(self) -> JsonObject:
        """Return the counters as JSON."""
        return {
            "dialects": {name: asdict(tally) for name, tally in self.tallies.items()},
            "connections_opened": self.connections_opened,
        }

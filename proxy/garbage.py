"""How the collector of reference cycles is set while a server starts, and while it serves.

Nearly all that a request leaves is freed by its reference counts. The collector finds next to
nothing, and looks for it all the time: with CPython's own thresholds each 700 new objects, which
64 requests have at once many times over, cost 15 % of all CPU.

* What the start has made stays for good, and is never looked at again (`gc.freeze`).
* The youngest are looked at when there are many: 64 requests at 64 connections, µs of CPU for one:
  608 as CPython sets it, 547 frozen, 516 frozen and from 5,000 objects on, 514 from 20,000, 469
  never. What is answered meanwhile is young, too: 256 requests have 40,000 objects. One look at as
  many takes 5 ms, and comes when as many are left over.

`gc.disable()` would be a leak: an exception that is kept in its own traceback is a cycle.

The imports of the start make 200,000 objects, which CPython looks at 150 times, all of them now and
then: 45 of 370 ms. There are a thousand cycles among them, of classes that `dataclass` replaces.
"""

import gc
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

__all__ = ["FIRST_THRESHOLD", "few_collections", "seldom_collected"]

FIRST_THRESHOLD: Final = 50_000
"""New objects, less those that were freed, before the youngest are looked at."""

_USUAL: Final = gc.get_threshold()
"""CPython's own, which are others in each version."""

_WHILE_STARTING: Final = 50
"""Looks at the youngest before those are looked at that have outlived one, and so on."""


@contextmanager
def few_collections() -> Generator[None]:
    """Look at little more than the youngest, while much is made that stays."""
    before = gc.get_threshold()
    gc.set_threshold(FIRST_THRESHOLD, _WHILE_STARTING, _WHILE_STARTING)
    try:
        yield
    finally:
        gc.set_threshold(*before)


@contextmanager
def seldom_collected() -> Generator[None]:
    """Collect seldom, for as long as a server serves that has just started."""
    before = gc.get_threshold()
    # No more than the youngest: a look at everything that the start has made takes 30 ms.
    gc.collect(0)
    gc.freeze()
    gc.set_threshold(FIRST_THRESHOLD, *_USUAL[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()

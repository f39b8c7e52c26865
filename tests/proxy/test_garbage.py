"""The collector of cycles while a server serves: seldom, but not never."""

import gc
import weakref

from proxy.garbage import FIRST_THRESHOLD, few_collections, seldom_collected


class Node:
    """Refers to itself."""

    def __init__(self) -> None:
        self.itself = self


def test_what_the_start_made_is_set_apart_and_given_back() -> None:
    before = gc.get_threshold()
    with seldom_collected():
        assert gc.get_freeze_count() > 0
        assert gc.get_threshold() == (FIRST_THRESHOLD, *before[1:])
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_a_start_with_few_collections_does_not_last() -> None:
    before = gc.get_threshold()
    with few_collections():
        assert gc.get_threshold() > (FIRST_THRESHOLD - 1, *before[1:])
        with seldom_collected():
            # The old are looked at as often as ever while it serves.
            assert gc.get_threshold() == (FIRST_THRESHOLD, *before[1:])
            assert gc.isenabled()
    assert gc.get_threshold() == before


def test_cycles_are_collected_all_the_same() -> None:
    with seldom_collected():
        lost = weakref.ref(Node())
        kept = [Node() for _ in range(2 * FIRST_THRESHOLD)]
    assert lost() is None
    assert kept

"""As many requests run as may; some wait in line; the others are told when to come again."""

import asyncio

import pytest

from proxy.providers.claude_agent.admission import Admission
from translators.errors import ProviderError


def admission(*, most: int = 1, queue: int = 1, patience: float = 30) -> Admission:
    return Admission(most=most, queue=queue, patience=patience, retry_after=7)


async def waiting(door: Admission, number: int) -> list["asyncio.Task[None]"]:
    tasks = [asyncio.create_task(door.enter()) for _ in range(number)]
    await asyncio.sleep(0)
    return tasks


async def test_whoever_leaves_lets_the_first_in_line_in():
    door = admission(most=2, queue=5)
    await door.enter()
    await door.enter()
    tasks = await waiting(door, 3)
    assert (door.inside, door.waiting) == (2, 3)
    for number in range(3):
        door.leave()
        await tasks[number]
        assert [task.done() for task in tasks].count(True) == number + 1
    assert (door.inside, door.waiting) == (2, 0)
    door.leave()
    door.leave()
    assert door.inside == 0


async def test_a_full_line_is_a_rate_limit_that_says_when_to_come_again():
    door = admission()
    await door.enter()
    (task,) = await waiting(door, 1)
    with pytest.raises(ProviderError) as caught:
        await door.enter()
    error = caught.value
    assert (error.kind, error.status_hint, error.retry_after) == ("rate_limit", 429, 7)
    assert error.own_limit
    task.cancel()


async def test_a_long_wait_is_one_too():
    door = admission(patience=0.01)
    await door.enter()
    with pytest.raises(ProviderError) as caught:
        await door.enter()
    assert (caught.value.kind, caught.value.retry_after) == ("rate_limit", 7)
    assert (door.inside, door.waiting) == (1, 0)


async def test_whoever_gives_up_is_not_let_in():
    door = admission(queue=2)
    await door.enter()
    first, second = await waiting(door, 2)
    first.cancel()
    await asyncio.sleep(0)
    door.leave()
    await second
    assert (door.inside, door.waiting) == (1, 0)


async def test_a_place_given_to_one_who_gives_up_is_the_next_ones():
    door = admission(queue=2)
    await door.enter()
    first, second = await waiting(door, 2)
    door.leave()  # The place is the first one's, who goes before it can know.
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    await second
    assert (door.inside, door.waiting) == (1, 0)

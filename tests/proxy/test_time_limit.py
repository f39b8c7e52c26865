"""The limit on the time of a block, and how it goes together with other cancellations."""

import asyncio

import pytest

from proxy.attempt import AnswerLimit
from proxy.time_limit import TimeLimit
from translators.errors import TimeoutError as ProviderTimeout


async def test_a_block_that_is_quick_is_left_alone() -> None:
    with TimeLimit(0.05):
        await asyncio.sleep(0)
    await asyncio.sleep(0.1)
    assert asyncio.current_task() is not None


async def test_a_block_that_takes_too_long_ends_with_the_limits_error() -> None:
    with pytest.raises(TimeoutError, match=r"0\.01 s"), TimeLimit(0.01):
        await asyncio.sleep(30)
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0


async def test_no_time_at_all_ends_the_first_wait() -> None:
    with pytest.raises(TimeoutError), TimeLimit(-1):
        await asyncio.sleep(30)


async def test_the_limit_of_an_answer_says_which_it_was() -> None:
    with pytest.raises(ProviderTimeout) as raised, AnswerLimit("first_token", 0.01):
        await asyncio.sleep(30)
    assert raised.value.phase == "first_token"


async def test_of_two_limits_the_inner_one_takes_only_its_own() -> None:
    with pytest.raises(ProviderTimeout), AnswerLimit("total", 0.02), TimeLimit(20):
        await asyncio.sleep(30)


async def test_an_error_of_the_block_goes_on() -> None:
    with pytest.raises(ValueError, match="ours"), TimeLimit(20):
        raise ValueError("ours")


async def test_a_cancellation_of_somebody_else_goes_on() -> None:
    begun = asyncio.Event()

    async def limited() -> None:
        with TimeLimit(20):
            begun.set()
            await asyncio.sleep(30)

    task = asyncio.create_task(limited())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_beside_the_limits_own_goes_on() -> None:
    """Both come in one turn of the loop: the task is to end, not to hear of a limit."""

    async def limited() -> None:
        with TimeLimit(0):
            await asyncio.sleep(30)

    task = asyncio.create_task(limited())
    asyncio.get_running_loop().call_later(0, task.cancel)
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_before_the_block_is_not_taken_back() -> None:
    """A task that cleans up after its cancellation may use a limit for that."""
    reached: list[str] = []

    async def stopping() -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            with pytest.raises(TimeoutError), TimeLimit(0.01):
                await asyncio.sleep(30)
            reached.append("limit")
            raise

    task = asyncio.create_task(stopping())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert reached == ["limit"]


def test_outside_of_a_task_there_is_none() -> None:
    loop = asyncio.new_event_loop()
    failures: list[Exception] = []

    def tried() -> None:
        try:
            with TimeLimit(1):
                pass
        except RuntimeError as error:
            failures.append(error)
        loop.stop()

    loop.call_soon(tried)
    loop.run_forever()
    loop.close()
    assert "needs a task" in str(failures[0])

"""Waiting for the first of two things leaves nothing behind and hides nothing."""

import asyncio

import pytest

from services.runtime.deadline import Deadline
from services.runtime.failures import Fatal
from services.runtime.waiting import ended_within, unless
from tests.unit.runtime.machine import FastClock, HandClock


async def value(text: str) -> str:
    await asyncio.sleep(0)
    return text


async def test_the_work_wins_or_the_event_does() -> None:
    event = asyncio.Event()
    assert await unless(event, value("done")) == "done"
    cancelled = asyncio.Event()

    async def hangs() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        raise AssertionError

    asyncio.get_running_loop().call_soon(event.set)
    assert await unless(event, hangs()) is None
    assert cancelled.is_set(), "it has ended when the wait returns"
    assert await unless(event, value("never begun")) is None


@pytest.mark.parametrize("error", [ValueError("x"), Fatal("x")])
async def test_what_the_work_raises_is_raised(error: BaseException) -> None:
    async def fails() -> None:
        raise error

    with pytest.raises(type(error)):
        await unless(asyncio.Event(), fails())


async def test_a_cancelled_wait_cancels_its_work() -> None:
    ended = asyncio.Event()

    async def hangs() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(unless(asyncio.Event(), hangs()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


async def test_one_budget_is_shared_by_all_its_steps() -> None:
    clock = HandClock()
    deadline = Deadline(clock, 10)
    stuck = asyncio.ensure_future(asyncio.Event().wait())
    assert not await deadline.ended(stuck, at_most_seconds=4)
    assert deadline.remaining_seconds() == 6
    assert not await deadline.ended(stuck)
    assert deadline.expired()
    assert not await deadline.ended(stuck)
    assert await deadline.ended()
    await Deadline(FastClock(), 1).end(stuck)
    assert stuck.cancelled()


async def test_tasks_that_fail_have_ended_too() -> None:
    async def fails() -> None:
        raise ValueError

    task = asyncio.ensure_future(fails())
    assert await ended_within(FastClock(), 5, [task])
    assert isinstance(task.exception(), ValueError)

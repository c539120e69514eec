"""Waiting for the first of two things, in the time of the `Clock`, leaving no task behind. Used by the loops."""

import asyncio
from collections.abc import Collection, Coroutine
from typing import Any, TypeVar

from services.runtime.clock import Clock

T = TypeVar("T")


async def unless(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`, or None where `event` is set before it ends: then `work` is cancelled and has ended."""
    if event.is_set():
        work.close()
        return None
    task = asyncio.ensure_future(work)
    watch = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait((task, watch), return_when=asyncio.FIRST_COMPLETED)
    finally:
        watch.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))
    return None if task.cancelled() else task.result()


async def ended_within(clock: Clock, seconds: float, tasks: Collection["asyncio.Future[Any]"]) -> bool:
    """Whether all `tasks` end within `seconds`; cancels none of them and raises nothing of theirs."""
    if all(task.done() for task in tasks):
        return True
    everything = asyncio.ensure_future(asyncio.wait(tasks))
    timer = asyncio.ensure_future(clock.sleep(seconds))
    try:
        await asyncio.wait((everything, timer), return_when=asyncio.FIRST_COMPLETED)
        return all(task.done() for task in tasks)
    finally:
        for waiter in (everything, timer):
            waiter.cancel()

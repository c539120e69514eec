"""One budget of time shared by all the steps of a path: the sum of their waits is bounded, not each alone."""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from services.runtime.clock import Clock

T = TypeVar("T")


class Deadline:
    """Starts to run when it is made."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._ends_at_seconds = clock.monotonic_seconds() + seconds

    def remaining_seconds(self) -> float:
        """What is left of the budget, never below 0."""
        return max(0.0, self._ends_at_seconds - self._clock.monotonic_seconds())

    def expired(self) -> bool:
        return self.remaining_seconds() <= 0.0

    async def bound(self, work: Awaitable[T]) -> T:
        """The result of `work` within what is left; cancels it and raises `TimeoutError` when that is over."""
        async with asyncio.timeout(self.remaining_seconds()):
            return await work

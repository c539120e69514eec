"""One budget of time shared by all the steps of a path: the sum of their waits is bounded, not each alone."""

import asyncio
from typing import Any

from services.runtime.clock import Clock
from services.runtime.waiting import ended_within


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

    async def ended(self, *tasks: "asyncio.Future[Any]", at_most_seconds: float | None = None) -> bool:
        """Whether all `tasks` end within what is left (and within `at_most_seconds`); cancels none of them."""
        left = self.remaining_seconds()
        return await ended_within(self._clock, left if at_most_seconds is None else min(left, at_most_seconds), tasks)

    async def end(self, *tasks: "asyncio.Future[Any]") -> None:
        """Cancels `tasks` and waits for them as long as something is left."""
        for task in tasks:
            task.cancel()
        await self.ended(*tasks)

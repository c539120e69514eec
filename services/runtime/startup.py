"""Making what a service needs before its loops, while the broker may not answer yet. Called by `app.py`.

Once the loops run, they wait by themselves; without this a service that starts before its broker would end.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from services.runtime.backoff import SYSTEM_RANDOM, Backoff, Random
from services.runtime.clock import Clock
from services.runtime.failures import Unavailable
from services.runtime.telemetry import Event
from services.runtime.waiting import unless

T = TypeVar("T")


@dataclass(frozen=True)
class StartDelayed(Event, counter="usher_starts_delayed_total", level="warning"):
    """What the service needs does not answer yet; tried again by itself."""

    detail: str
    delay_seconds: float


async def once_available(
    make: Callable[[], Awaitable[T]], *, clock: Clock, stopping: asyncio.Event, random: Random = SYSTEM_RANDOM
) -> T | None:
    """What `make` returns, tried until it no longer raises `Unavailable`; None where `stopping` comes first."""
    backoff = Backoff(base_seconds=0.2, cap_seconds=10.0, random=random)
    while not stopping.is_set():
        try:
            return await make()
        except Unavailable as error:
            delay = backoff.next_seconds(error.retry_after_seconds)
            StartDelayed(str(error), delay).emit()
            await unless(stopping, clock.sleep(delay))
    return None

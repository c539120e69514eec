"""What a service needs before its loops is waited for, and a stop ends the waiting."""

import asyncio
from collections.abc import Iterator

import pytest

from services.runtime.clock import SystemClock
from services.runtime.failures import Fatal, Unavailable
from services.runtime.startup import once_available


async def test_tries_until_it_is_there() -> None:
    answers: Iterator[Unavailable | str] = iter([Unavailable("not yet"), Unavailable("not yet"), "made"])

    async def make() -> str:
        answer = next(answers)
        if isinstance(answer, Unavailable):
            raise answer
        return answer

    made = await once_available(make, clock=SystemClock(), stopping=asyncio.Event(), random=lambda: 0.0)
    assert made == "made"


async def test_a_stop_ends_the_waiting() -> None:
    stopping = asyncio.Event()

    async def make() -> str:
        stopping.set()
        raise Unavailable("never", retry_after_seconds=3600)

    assert await once_available(make, clock=SystemClock(), stopping=stopping) is None


async def test_what_waiting_does_not_mend_is_raised() -> None:
    async def make() -> str:
        raise Fatal("wrong password")

    with pytest.raises(Fatal):
        await once_available(make, clock=SystemClock(), stopping=asyncio.Event())

"""One call for many: who shares one, what each of them gets, and what becomes of it when its maker is cancelled."""

import asyncio
from collections.abc import Sequence

import pytest

from services.runtime.failures import Unavailable
from services.runtime.together import Together


class Calls:
    """Each call ends when it may: with the sum of what was asked, or with `error`."""

    def __init__(self) -> None:
        self.made: list[list[int]] = []
        self.may = asyncio.Event()
        self.error: Exception | None = None

    async def __call__(self, asked: Sequence[int]) -> int:
        self.made.append(list(asked))
        await self.may.wait()
        if self.error is not None:
            raise self.error
        return sum(asked)


async def turn() -> None:
    """Whoever can go on does."""
    for _ in range(5):
        await asyncio.sleep(0)


async def asking(together: Together[int, int], *numbers: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(together.ask([number])) for number in numbers]
    await turn()
    return tasks


async def test_what_comes_during_a_call_shares_the_next() -> None:
    calls = Calls()
    together = Together(calls)
    first = await asking(together, 0)
    others = await asking(together, *range(1, 1_000))
    assert calls.made == [[0]]

    calls.may.set()

    assert await asyncio.gather(*first, *others) == [0] + [sum(range(1_000))] * 999
    assert calls.made == [[0], list(range(1, 1_000))]


async def test_all_who_shared_a_call_hear_of_its_failure_and_nobody_else() -> None:
    calls = Calls()
    together = Together(calls)
    first, shared = await asking(together, 0), await asking(together, 1, 2, 3)
    calls.error = Unavailable("not now")
    calls.may.set()
    assert {type(one) for one in await asyncio.gather(*first, *shared, return_exceptions=True)} == {Unavailable}

    calls.error = None

    assert await together.ask([4]) == 4
    assert calls.made == [[0], [1, 2, 3], [4]]


@pytest.mark.parametrize("cancelled", [(0,), (1,), (2,), (0, 1), (0, 1, 2)])
async def test_who_is_cancelled_takes_nobody_along(cancelled: tuple[int, ...]) -> None:
    calls = Calls()
    together = Together(calls)
    tasks = [*await asking(together, 0), *await asking(together, 1, 2, 3)]
    for number in cancelled:
        tasks[number].cancel()
        await turn()
    calls.may.set()

    await asyncio.wait(tasks)

    assert [task.cancelled() for task in tasks] == [number in cancelled for number in range(4)]
    assert {task.result() for task in tasks[1:] if not task.cancelled()} == {6}
    assert {0, 1, 2, 3} == {number for made in calls.made for number in made}
    assert await together.ask([4]) == 4


async def test_a_call_of_which_all_are_cancelled_keeps_nobody_waiting() -> None:
    calls = Calls()
    together = Together(calls)
    for task in await asking(together, 0):
        task.cancel()
    calls.may.set()
    assert await together.ask([1]) == 1

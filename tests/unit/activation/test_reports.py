"""What lanes write: together, durable when a call returns, and by another where the one who writes is gone."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from contracts import catalog
from contracts.records import Out
from services.activation.reports import Reports
from tests.unit.activation.lane_bench import JumpingClock, KeepingProducer


@dataclass
class SlowProducer(KeepingProducer):
    """A write ends when it may; `writes` has how many records each had."""

    may: asyncio.Event = field(default_factory=asyncio.Event)
    writes: list[int] = field(default_factory=list)

    async def send(self, outs: Sequence[Out]) -> None:
        self.writes.append(len(outs))
        await self.may.wait()
        await super().send(outs)


def out(number: int) -> Out:
    return Out(catalog.OUTCOMES, None, b"%d" % number)


def reports(producer: KeepingProducer) -> Reports:
    return Reports(producer, clock=JumpingClock(), random=lambda: 0.5)


async def turn() -> None:
    """Whoever can go on does."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_comes_during_a_write_goes_out_together_and_each_waits_for_its_own() -> None:
    producer = SlowProducer()
    of = reports(producer)
    first = asyncio.create_task(of.write([out(0)]))
    await turn()
    others = [asyncio.create_task(of.write([out(n)])) for n in range(1, 1_000)]
    await turn()
    assert producer.writes == [1]
    assert not any(one.done() for one in (first, *others))

    producer.may.set()
    await asyncio.gather(first, *others)

    assert producer.writes == [1, 999]
    assert [one.value for one in producer.outs] == [b"%d" % n for n in range(1_000)]


async def test_where_the_writer_is_cancelled_another_writes_for_both() -> None:
    producer = SlowProducer()
    of = reports(producer)
    tasks = [asyncio.create_task(of.write([out(n)])) for n in range(3)]
    await turn()
    for task in tasks[:2]:  # the first writes for itself, the second for the others
        task.cancel()
        await turn()
    producer.may.set()

    await tasks[2]

    assert [task.cancelled() for task in tasks] == [True, True, False]
    assert {one.value for one in producer.outs} == {b"1", b"2"}


@pytest.mark.parametrize("failing", [0, 3])
async def test_it_is_tried_until_it_is_written_and_nothing_is_no_write(failing: int) -> None:
    producer = KeepingProducer(failing=failing)
    of = reports(producer)

    await of.write([])
    await of.write([out(1)])

    assert [one.value for one in producer.outs] == [b"1"]

"""What is long is read in bounded memory, as fast as the slowest takes it, and tells how far it is."""

import asyncio
import tracemalloc
from collections.abc import AsyncIterator, Sequence

import pytest
from msgspec import structs

from contracts import catalog, codec
from contracts.messages.intake import ObjectVersion, ReadingFinished, ReadingProgress, ReadRequest
from contracts.records import Out, Record
from services.intake.progress import ReadingMeter
from services.intake.read import CHUNK_BYTES
from services.runtime.log import Producer
from tests.conformance.harness import eventually
from tests.unit.intake.asking import REQUESTS, WIDE, asked, asked_for_set, readings
from tests.unit.intake.outside import MemoryObjects, audience, world
from tests.unit.runtime.machine import HandClock


def chunks_take(seconds: float, monkeypatch: pytest.MonkeyPatch) -> HandClock:
    """A clock on which every chunk that is taken takes so long, and nothing else takes any time."""
    clock, count = HandClock(), ReadingMeter.count

    def late(meter: ReadingMeter, chunk: bytes) -> None:
        clock.pass_seconds(seconds)
        count(meter, chunk)

    monkeypatch.setattr(ReadingMeter, "count", late)
    return clock


class Gated:
    """A producer that waits until it is let."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self.open = asyncio.Event()
        self.waiting = 0

    async def send(self, outs: Sequence[Out]) -> None:
        self.waiting += 1
        await self.open.wait()
        await self._producer.send(outs)

    async def close(self) -> None:
        """The producer is not ours."""


async def test_a_slow_broker_holds_the_object_back() -> None:
    async with world() as outside:
        await outside.publish(audience("a"))
        record = asked(outside, b"".join(b"%0200d^a\n" % n for n in range(120_000)))
        gated = Gated(outside.producer)
        handling = asyncio.create_task(readings(outside, producer=gated).handle(REQUESTS, [record]))
        await eventually(lambda: gated.waiting > 0, "a batch is on its way")
        before = outside.objects.chunks_read
        while outside.objects.chunks_read != before:
            before = outside.objects.chunks_read
            await asyncio.sleep(0.2)
        assert gated.waiting == 1, "one batch under way"
        assert outside.objects.chunks_read <= 10, "and one made: no more of the object is fetched"
        gated.open.set()
        await handling
        (said,) = await outside.said()
        assert isinstance(said, ReadingFinished)
        assert said.counts.valid == 120_000
        assert outside.objects.chunks_read > 20


async def test_a_long_reading_tells_how_far_it_is_at_a_bounded_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds a chunk, and five between two words to control."""
    async with world() as outside:
        await outside.publish(audience("a"))
        record = asked(outside, WIDE * 50_000)
        size_bytes = len(WIDE) * 50_000
        await readings(outside, clock=chunks_take(2.0, monkeypatch)).handle(REQUESTS, [record])
        *told, last = await outside.said()
        assert isinstance(last, ReadingFinished)
        progress = [one for one in told if isinstance(one, ReadingProgress)]
        chunks = -(-size_bytes // CHUNK_BYTES)
        assert len(progress) == len(told) == chunks // 3
        assert [one.read_bytes for one in progress] == [3 * CHUNK_BYTES * (at + 1) for at in range(len(progress))]
        assert {(one.total_bytes, one.attempt, one.import_id) for one in progress} == {(size_bytes, 1, "imp_1")}
        assert all(0 < one.rows <= one.read_bytes // len(WIDE) for one in progress)


async def test_the_progress_of_several_objects_is_that_of_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world() as outside:
        await outside.publish(audience("a"))
        request = asked_for_set(outside, WIDE * 10_000, WIDE * 10_000)
        await readings(outside, clock=chunks_take(6.0, monkeypatch)).handle(REQUESTS, [request])
        progress = [one for one in await outside.said() if isinstance(one, ReadingProgress)]
        assert (progress[-1].read_bytes, progress[-1].total_bytes) == (len(WIDE) * 20_000,) * 2


class Endless(MemoryObjects):
    """Every object is a line again and again, and nowhere whole."""

    async def read(self, version: ObjectVersion, *, chunk_bytes: int) -> AsyncIterator[bytes]:
        chunk = b"".join(b"%0255d^a\n" % number for number in range(chunk_bytes // 258))
        for _ in range((version.size_bytes or 0) // chunk_bytes):
            yield bytes(bytearray(chunk))  # a fetched chunk is memory of its own


class Swallowing:
    """A producer that keeps nothing."""

    async def send(self, outs: Sequence[Out]) -> None:
        """All of it is durable."""

    async def close(self) -> None:
        """Nothing is held."""


async def peak_bytes(size_bytes: int) -> int:
    """What a reading of so many bytes has in memory at most."""
    async with world() as outside:
        await outside.publish(audience("a"))
        outside.objects = Endless()
        request = codec.decode(asked(outside, b"").value or b"", ReadRequest)
        request = structs.replace(request, object=structs.replace(request.object, size_bytes=size_bytes))
        record = Record(catalog.INTAKE_REQUESTS, 0, 0, 0, b"acme", codec.encode(request), ())
        tracemalloc.start()
        await readings(outside, producer=Swallowing()).handle(REQUESTS, [record])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return peak


async def test_memory_does_not_grow_with_the_object() -> None:
    """What one reading keeps is some blocks and one record a partition, whatever the size."""
    small, large = await peak_bytes(16 << 20), await peak_bytes(128 << 20)
    assert large < small * 1.25
    assert large < 48 << 20

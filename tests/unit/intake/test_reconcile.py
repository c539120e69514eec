"""What no notification told of is announced by a listing, once, by whoever has the prefix."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec
import pytest

from contracts import catalog, codec, codes
from contracts.instants import instant_text
from contracts.messages.entities import Feed
from contracts.messages.intake import ObjectAnnounced, ObjectVersion
from contracts.messages.published import Import
from contracts.records import Out, Record, TopicPartition
from services.domain.intake.reconciliation import LOOK_BACK_MS
from services.intake.announcing import Announcer
from services.intake.known_imports import KnownImports
from services.intake.reconcile import Reconciler, Share
from tests.conformance.harness import eventually
from tests.unit.intake.outside import BUCKET, PARTITIONS, PUT_MS, World, feed, world
from tests.unit.runtime.machine import HandClock

GRACE_SECONDS = 60
EVERY_SECONDS = 3600
HOURS = 3_600_000


class Pausing(HandClock):
    """A sleep ends when the test lets it."""

    def __init__(self, now_ms: int) -> None:
        super().__init__(now_ms)
        self.slept: list[float] = []
        self._woken = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self._woken.wait()
        self._woken.clear()
        self.pass_seconds(seconds)

    def wake(self) -> None:
        self._woken.set()


class Idle:
    """A `Deliver` that has nothing to do."""

    async def assigned(self, partition: TopicPartition) -> None: ...

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None: ...

    async def revoked(self, partition: TopicPartition) -> None: ...


class Bench:
    """A reconciler, some time after objects were put."""

    def __init__(self, outside: World) -> None:
        self.outside = outside
        self.clock = Pausing(PUT_MS + HOURS)
        self.share = Share(Idle(), PARTITIONS)
        announcer = Announcer(outside.catalogue, outside.objects, default_bucket=BUCKET, control_partitions=PARTITIONS)
        self.reconciler = Reconciler(
            self.share,
            outside.objects,
            KnownImports(outside.log, clock=self.clock),
            announcer,
            outside.producer,
            catalogue=outside.catalogue,
            clock=self.clock,
            health=outside.health,
            every_seconds=EVERY_SECONDS,
            grace_seconds=GRACE_SECONDS,
            default_bucket=BUCKET,
        )

    async def own(self, *partitions: int) -> None:
        for partition in partitions:
            await self.share.assigned(TopicPartition(catalog.INTAKE_REQUESTS, partition))

    async def rests(self, passes: int) -> None:
        """Returns when it sleeps for the so-manieth time."""
        await eventually(lambda: len(self.clock.slept) >= passes, f"pass {passes}")

    async def announced(self) -> list[ObjectAnnounced]:
        return [one for one in await self.outside.said() if isinstance(one, ObjectAnnounced)]

    async def imported(self, version: ObjectVersion) -> None:
        """Control says that the version is an import."""
        text = instant_text(PUT_MS)
        record = Import(
            space_id="acme", import_id=f"imp_{version.key}", feed_id="f", object=version, mode="append",
            state="applied", announced_at=text, updated_at=text,
        )  # fmt: skip
        producer = await self.outside.broker.connect("control").producer()
        await producer.send([Out(catalog.IMPORTS, f"acme/{version.key}".encode(), codec.encode(record), (), 0)])


@asynccontextmanager
async def running(*feeds: Feed) -> AsyncIterator[Bench]:
    async with world() as outside:
        await outside.publish(*feeds)
        bench, stopping = Bench(outside), asyncio.Event()
        task = asyncio.create_task(bench.reconciler.run(stopping))
        yield bench
        stopping.set()
        async with asyncio.timeout(10):
            await task


def watched(feed_id: str, prefix: str, *, since_ms: int = PUT_MS, marker: str | None = None) -> Feed:
    return msgspec.structs.replace(feed(feed_id, prefix, marker=marker), watched_since=instant_text(since_ms))


async def test_what_no_import_was_made_of_is_announced_once() -> None:
    async with running(watched("f", "in/")) as bench:
        lost, known = (bench.outside.objects.put(f"in/{name}", b"x") for name in ("lost", "known"))
        await bench.imported(known)
        await bench.own(0, 1, 2)
        await bench.rests(1)
        bench.clock.wake()
        await bench.rests(2)
        expected = ObjectAnnounced(space_id="acme", feed_id="f", object=lost, event_time_ms=PUT_MS, reconciled=True)
        assert await bench.announced() == [expected]
        assert bench.outside.objects.listed == ["in/"] * 2


async def test_too_young_too_old_older_than_its_feed_or_never_rows_are_left_alone() -> None:
    async with running(watched("f", "in/", since_ms=PUT_MS)) as bench:
        objects, now_ms = bench.outside.objects, bench.clock.now_ms()
        objects.put("in/young", b"x", at_ms=now_ms - GRACE_SECONDS * 1000 + 1000)
        objects.put("in/before", b"x", at_ms=PUT_MS - 1000)
        objects.put("in/_temporary", b"x")
        objects.put("in/rejects/imp_1.jsonl", b"x")
        objects.put("elsewhere/x", b"x")
        await bench.own(0, 1, 2)
        await bench.rests(1)
        assert await bench.announced() == []


async def test_an_object_from_before_the_horizon_is_left_alone_however_old_the_feed() -> None:
    async with running(watched("f", "in/", since_ms=PUT_MS - 2 * LOOK_BACK_MS)) as bench:
        bench.outside.objects.put("in/old", b"x", at_ms=bench.clock.now_ms() - LOOK_BACK_MS - 1)
        await bench.own(0, 1, 2)
        await bench.rests(1)
        assert await bench.announced() == []


async def test_new_content_under_a_known_key_is_announced() -> None:
    async with running(watched("f", "in/")) as bench:
        await bench.imported(bench.outside.objects.put("in/x", b"first"))
        again = bench.outside.objects.put("in/x", b"second", at_ms=PUT_MS + 60_000)
        await bench.own(0, 1, 2)
        await bench.rests(1)
        assert [one.object for one in await bench.announced()] == [again]


async def test_a_marker_is_not_older_than_parts_of_its_second() -> None:
    async with running(watched("f", "in/", marker="_SUCCESS")) as bench:
        bench.outside.objects.put("in/a/_SUCCESS", b"")
        bench.outside.objects.put("in/a/part", b"x")
        await bench.own(0, 1, 2)
        await bench.rests(1)
        said = {one.object.key: one.event_time_ms for one in await bench.announced()}
        assert said == {"in/a/_SUCCESS": PUT_MS + 999, "in/a/part": PUT_MS}


async def test_what_may_not_be_read_is_announced_with_the_reason_and_the_rest_goes_on() -> None:
    async with running(watched("f", "in/")) as bench:
        for name in ("denied", "good"):
            bench.outside.objects.put(f"in/{name}", b"x")
        bench.outside.objects.refused["in/denied"] = codes.OBJECT_ACCESS_DENIED
        await bench.own(0, 1, 2)
        await bench.rests(1)
        said = {one.object.key: one.code for one in await bench.announced()}
        assert said == {"in/denied": codes.OBJECT_ACCESS_DENIED.code, "in/good": None}


async def test_each_prefix_is_listed_by_who_has_its_share_and_at_once_when_it_comes() -> None:
    prefixes = [f"p{at}/" for at in range(12)]
    async with running(*(watched(f"f{at}", prefix) for at, prefix in enumerate(prefixes))) as bench:
        listed = bench.outside.objects.listed
        await bench.own(0)
        await bench.rests(1)
        first = set(listed)
        assert 0 < len(first) < len(prefixes)
        await bench.own(1, 2)
        await eventually(lambda: len(listed) == len(prefixes), "all are listed")
        assert sorted(listed) == sorted(prefixes)
        await bench.rests(2)
        await bench.share.revoked(TopicPartition(catalog.INTAKE_REQUESTS, 1))
        await bench.rests(3)
        await bench.own(1)
        await eventually(lambda: len(listed) > len(prefixes), "what came back is listed anew")


@pytest.mark.parametrize("lists", [True, False])
async def test_a_store_that_is_away_or_forbids_listing_is_asked_again(lists: bool) -> None:
    async with running(watched("f", "in/")) as bench:
        bench.outside.objects.put("in/x", b"x")
        if lists:
            bench.outside.objects.outages = 1
        else:
            bench.outside.objects.refused["in/"] = codes.OBJECT_ACCESS_DENIED
        await bench.own(0, 1, 2)
        await bench.rests(1)
        assert await bench.announced() == []
        bench.outside.objects.refused.clear()
        bench.clock.wake()
        await bench.rests(2)
        assert [one.object.key for one in await bench.announced()] == ["in/x"]


async def test_more_than_one_batch_of_lost_objects() -> None:
    async with running(watched("f", "in/")) as bench:
        for at in range(450):
            bench.outside.objects.put(f"in/{at}", b"x")
        await bench.own(0, 1, 2)
        await bench.rests(1)
        assert len({one.object.key for one in await bench.announced()}) == 450

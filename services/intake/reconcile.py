"""Reconcile: lists the prefixes of feeds now and then, and announces the objects that no notification told of.

Each prefix belongs to one worker at a time: to the one that has its partition of the read requests. What counts as lost
is said in `services.domain.intake.reconciliation`, what is announced in `announcing`; control drops what it knows.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from contracts.messages.entities import Feed
from contracts.messages.intake import ObjectVersion
from contracts.records import Record, TopicPartition
from services.domain.intake.reconciliation import KnownVersions, Place, counts, may_be_lost, places, share_of
from services.intake.announcing import Announcer
from services.intake.known_imports import KnownImports
from services.intake.telemetry import LAST_RECONCILED, PrefixNotListed, Reconciled, ReconciliationDelayed
from services.runtime.backoff import SYSTEM_RANDOM, Backoff, Random
from services.runtime.catalogue_view import CatalogueView
from services.runtime.clock import Clock
from services.runtime.deliver import Deliver
from services.runtime.failures import Rejected, Unavailable
from services.runtime.health import Health, Pulse
from services.runtime.log import Producer
from services.runtime.objects import Objects
from services.runtime.waiting import unless

_ANNOUNCED_AT_ONCE: Final = 200
_SILENT_SECONDS_MAX: Final = 300.0  # one page of a listing, one batch of announcements


class Share:
    """Implements `Deliver` by another one, and tells which of `count` partitions are here: places go by them too."""

    def __init__(self, deliver: Deliver, count: int) -> None:
        self._deliver = deliver
        self.count = count
        self.partitions: set[int] = set()
        self.changed = asyncio.Event()

    async def assigned(self, partition: TopicPartition) -> None:
        await self._deliver.assigned(partition)
        self.partitions.add(partition.partition)
        self.changed.set()

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        await self._deliver.handle(partition, records)

    async def revoked(self, partition: TopicPartition) -> None:
        self.partitions.discard(partition.partition)
        self.changed.set()
        await self._deliver.revoked(partition)


class Reconciler:
    """Lists what is in our share every `every_seconds`, and what comes into it at once."""

    def __init__(
        self,
        share: Share,
        objects: Objects,
        imports: KnownImports,
        announcer: Announcer,
        producer: Producer,
        *,
        catalogue: CatalogueView,
        clock: Clock,
        health: Health,
        every_seconds: float,
        grace_seconds: float,
        default_bucket: str | None,
        random: Random = SYSTEM_RANDOM,
    ) -> None:
        self._share = share
        self._catalogue = catalogue
        self._imports = imports
        self._objects = objects
        self._announcer = announcer
        self._producer = producer
        self._clock = clock
        self._health = health
        self._every_seconds = every_seconds
        self._grace_ms = int(grace_seconds * 1000)
        self._default_bucket = default_bucket
        self._backoff = Backoff(base_seconds=min(1.0, every_seconds), cap_seconds=300.0, random=random)
        self._due_seconds: dict[int, float] = {}  # by partition, of those that were listed since they came

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set; survives `Unavailable`: what was announced by then is known the next time."""
        while not stopping.is_set():
            self._share.changed.clear()
            now = self._clock.monotonic_seconds()
            ours = {partition: self._due_seconds.get(partition, now) for partition in self._share.partitions}
            self._due_seconds = {partition: at for partition, at in ours.items() if partition in self._due_seconds}
            due = {partition for partition, at in ours.items() if at <= now}
            try:
                if due:
                    await unless(stopping, self._reconcile(due))
                    self._due_seconds |= dict.fromkeys(due, now + self._every_seconds)
                self._backoff.reset()
                delay = min([ours[one] for one in ours.keys() - due], default=now + self._every_seconds) - now
            except Unavailable as error:
                delay = self._backoff.next_seconds(error.retry_after_seconds)
                ReconciliationDelayed(str(error), delay).emit()
            await unless(stopping, self._wait(delay))

    async def _wait(self, seconds: float) -> None:
        """Or until our share is another."""
        await unless(self._share.changed, self._clock.sleep(seconds))

    async def _reconcile(self, due: set[int]) -> None:
        began_seconds, listed, announced = self._clock.monotonic_seconds(), 0, 0
        with self._health.pulse("reconcile", allowed_seconds=_SILENT_SECONDS_MAX) as pulse:
            await self._catalogue.caught_up()
            known = await self._imports.caught_up()
            for place in places(self._catalogue.all(Feed), default_bucket=self._default_bucket):
                if share_of(place, self._share.count) in due:
                    of_place = await self._reconcile_place(place, known, pulse)
                    listed, announced = listed + of_place[0], announced + of_place[1]
        LAST_RECONCILED.set(self._clock.now_ms() / 1000)
        Reconciled(listed, announced, self._clock.monotonic_seconds() - began_seconds).emit()

    async def _reconcile_place(self, place: Place, known: KnownVersions, pulse: Pulse) -> tuple[int, int]:
        """How many objects there were, and how many announcements of them were written."""
        listed, announced = 0, 0
        lost: list[tuple[ObjectVersion, list[Feed]]] = []
        try:
            async for version in self._objects.list_prefix(*place):
                listed += 1
                if feeds := self._lost_to(version, known):
                    lost.append((version, feeds))
                if len(lost) == _ANNOUNCED_AT_ONCE:
                    announced += await self._announce(lost, known)
                    lost.clear()
                pulse.beat()
        except Rejected as refused:
            PrefixNotListed(place[0], refused.code.code, refused.detail).emit()
        return listed, announced + await self._announce(lost, known)

    def _lost_to(self, version: ObjectVersion, known: KnownVersions) -> list[Feed]:
        """The feeds that should have been told of it."""
        now_ms = self._clock.now_ms()
        if not counts(version, now_ms=now_ms, grace_ms=self._grace_ms):
            return []
        feeds = self._announcer.feeds(version.bucket, version.key)
        return [feed for feed in feeds if may_be_lost(version, feed) and not known.has(feed.space_id, version)]

    async def _announce(self, lost: Sequence[tuple[ObjectVersion, list[Feed]]], known: KnownVersions) -> int:
        outs = await self._announcer.outs_of_listed(lost)
        await self._producer.send(outs)
        for version, feeds in lost:
            for feed in feeds:  # of parts of a set there is no import of their own to know them by
                known.add(feed.space_id, version, at_ms=self._clock.now_ms())
        return len(outs)

"""Streams: follows the topic of every feed that has one, as feeds come and go.

Each enabled feed has a consumer group of its own, so that it is told everything its topic holds, whatever other feeds
do, and none is held up by another's topic. What becomes of events is said in `feed_events`. Topics bear the broker's
names.
"""

import asyncio
from typing import Final

from contracts.ids import made_id
from services.intake.feed_events import FeedEvents, Followed, Resolvers
from services.intake.telemetry import StreamStalled, StreamStarted, StreamTopicMissing
from services.runtime.catalogue_view import CatalogueView
from services.runtime.clock import Clock
from services.runtime.deliver import run_deliveries
from services.runtime.failures import Fatal, Unavailable
from services.runtime.health import Health
from services.runtime.log import Log, Producer
from services.runtime.waiting import unless

RECORDS_MAX: Final = 10_000  # of identifiers of 256 bytes: some 3 MiB in a record of the membership input
# Of a partition at once: some events fill several batches, and what is sent together membership folds together. With
# 1 MiB, which are 6,000 events, a million took 5.0 CPU seconds of intake and membership; with this 3.9.
_FETCHED_BYTES: Final = 3 << 20
_LOOK_AGAIN_SECONDS: Final = 10.0  # for a topic that does not exist
_STALLED_SECONDS: Final = 30.0


class Streams:
    """Follows the topics of all feeds, as they come and go. `log` has topics by their whole names."""

    def __init__(
        self,
        log: Log,
        catalogue: CatalogueView,
        producer: Producer,
        *,
        clock: Clock,
        health: Health,
        membership_partitions: int,
        group_prefix: str,
        instance_id: str | None,
    ) -> None:
        self._log = log
        self._catalogue = catalogue
        self._producer = producer
        self._clock = clock
        self._health = health
        self._membership_partitions = membership_partitions
        self._group_prefix = group_prefix
        self._instance_id = instance_id
        self._resolvers = Resolvers(catalogue)
        self._running: dict[Followed, asyncio.Event] = {}
        self._ended = asyncio.Event()

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set; batches under way are finished."""
        async with asyncio.TaskGroup() as tasks:
            while not stopping.is_set():
                version = self._catalogue.version
                self._ended.clear()
                wanted = {
                    Followed(feed.space_id, feed.feed_id, feed.source.topic or "")
                    for feed in self._catalogue.topic_feeds()
                }
                for followed in self._running.keys() - wanted:
                    self._running[followed].set()
                for followed in sorted(wanted - self._running.keys()):  # not before the one of its name has ended
                    self._running[followed] = asyncio.Event()
                    tasks.create_task(self._follow(followed, self._running[followed]))
                await unless(stopping, self._something_changed(version))
            for ending in self._running.values():
                ending.set()

    async def _something_changed(self, version: int) -> None:
        """The catalogue, or what runs here."""
        await unless(self._ended, self._catalogue.changed_since(version))

    async def _follow(self, followed: Followed, ending: asyncio.Event) -> None:
        try:
            while not ending.is_set():
                seconds = await self._attempt(followed, ending)
                await unless(ending, self._clock.sleep(seconds))
        finally:
            del self._running[followed]
            self._ended.set()

    async def _attempt(self, followed: Followed, ending: asyncio.Event) -> float:
        """Reads until `ending`, or until it can't; returns how long to wait then.

        Whoever names the topic of a feed may name one that is not there, or that we may not read: that stalls this
        feed, loudly, and no other.
        """
        try:
            if followed.topic not in await self._log.topics():  # to ask for it by name might make it
                StreamTopicMissing(*followed).emit()
                return _LOOK_AGAIN_SECONDS
            StreamStarted(*followed).emit()
            await run_deliveries(
                self._log,
                f"{self._group_prefix}.{followed.space_id}.{followed.feed_id}",
                self._delivery(followed),
                topics=[followed.topic],
                records_max=RECORDS_MAX,
                partition_bytes_max=_FETCHED_BYTES,
                clock=self._clock,
                health=self._health.apart(),
                stopping=ending,
                instance_id=self._instance_id and made_id(self._instance_id[:200], followed.topic),
                skips_lost=True,
            )
        except (Fatal, Unavailable) as error:
            StreamStalled(*followed, str(error)).emit()
        return _STALLED_SECONDS

    def _delivery(self, followed: Followed) -> FeedEvents:
        return FeedEvents(
            followed,
            self._catalogue,
            self._resolvers,
            self._producer,
            clock=self._clock,
            membership_partitions=self._membership_partitions,
        )

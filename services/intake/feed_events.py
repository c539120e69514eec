"""The events of one feed's topic on their way: decoded, canonical, scattered to the partitions of membership.

What an event means is `services.domain.intake.stream`'s; that one which is sent twice counts once is membership's.
Made by `streams`, called by the Deliver loop.
"""

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from contracts.messages.entities import Audience, Feed, FixedAudience, Quotas, Space
from contracts.messages.steps import StreamRowsHeader
from contracts.raw_ids import kept_id_type
from contracts.records import Out, Record, TopicPartition
from services.domain.intake.audiences import Resolve, audience_resolver
from services.domain.intake.stream import ReadEvents, RefusedEvent, read_events
from services.domain.rows import EventBatch, encode_events, scatter_events
from services.intake import events
from services.intake.telemetry import EVENTS, EventsRefused
from services.runtime.catalogue_view import CatalogueView
from services.runtime.clock import Clock
from services.runtime.dead_letters import dead_letter
from services.runtime.failures import Unavailable
from services.runtime.log import Producer


class Followed(NamedTuple):
    """A feed and the topic that it reads, by the broker's name."""

    space_id: str
    feed_id: str
    topic: str


class Resolvers:
    """What audiences the texts of a space's events name, made anew when the catalogue has changed."""

    def __init__(self, catalogue: CatalogueView) -> None:
        self._catalogue = catalogue
        self._version = -1
        self._made: dict[tuple[str, str], Resolve] = {}

    def of(self, space_id: str, id_type: str) -> Resolve:
        if self._version != self._catalogue.version:
            self._version = self._catalogue.version
            self._made.clear()
        resolve = self._made.get((space_id, id_type))
        if resolve is None:
            audiences = self._catalogue.all(Audience, space_id)
            resolve = audience_resolver(audiences, id_type=id_type, open_step=sys.maxsize)
            self._made[space_id, id_type] = resolve
        return resolve


class FeedEvents:
    """Implements `Deliver` over the topic of one feed."""

    def __init__(
        self,
        followed: Followed,
        catalogue: CatalogueView,
        resolvers: Resolvers,
        producer: Producer,
        *,
        clock: Clock,
        membership_partitions: int,
    ) -> None:
        self._followed = followed
        self._catalogue = catalogue
        self._resolvers = resolvers
        self._producer = producer
        self._clock = clock
        self._membership_partitions = membership_partitions

    async def assigned(self, partition: TopicPartition) -> None:
        """Nothing is kept from one batch to the next."""

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:
        """Returns when all events and dead letters are durable. Whatever runs are sent, membership takes each once."""
        await self._catalogue.caught_up()
        space_id, feed_id, topic = self._followed
        feed = self._catalogue.get(Feed, space_id, feed_id)
        if feed is None or not feed.enabled or feed.source.topic != topic:
            raise Unavailable("the feed reads this topic no more")
        found = self._read(feed, records)
        await self._producer.send([*self._rows(feed, partition, found.batches), *self._letters(records, found.refused)])
        self._tell(found)

    async def revoked(self, partition: TopicPartition) -> None:
        """Nothing to give up."""

    def _read(self, feed: Feed, records: Sequence[Record]) -> ReadEvents:
        fixed = feed.audience_from.audience if isinstance(feed.audience_from, FixedAudience) else None
        resolve = self._resolvers.of(feed.space_id, kept_id_type(feed.id_type))
        values, offsets = [record.value for record in records], [record.offset for record in records]
        return read_events(values, offsets, id_type=feed.id_type, resolve=resolve, fixed=fixed)

    def _rows(self, feed: Feed, source: TopicPartition, batches: Sequence[EventBatch]) -> Iterator[Out]:
        space = self._catalogue.get(Space, feed.space_id, feed.space_id)
        # Where the space's time moves only by command, events bear none.
        at_ms = None if space is not None and space.clock == "manual" else self._clock.now_ms()
        quotas = Quotas() if space is None else space.quotas
        for batch in batches:
            for home, part in scatter_events(batch, self._membership_partitions):
                header = StreamRowsHeader(
                    space_id=feed.space_id,
                    feed_id=feed.feed_id,
                    topic=source.topic,
                    partition=source.partition,
                    first_offset=int(part.offsets[0]),
                    last_offset=int(part.offsets[-1]),
                    id_type=kept_id_type(feed.id_type),
                    at_ms=at_ms,
                    identities_max=quotas.identities_on_partition(self._membership_partitions),
                )
                yield events.stream_rows(header, encode_events(part), home)

    def _letters(self, records: Sequence[Record], refused: Sequence[RefusedEvent]) -> Iterator[Out]:
        space_id, feed_id, _ = self._followed
        for position, code, detail in refused:
            words = f"feed {feed_id} of space {space_id}: {detail or code.title}"
            yield dead_letter(records[position], code, words, service=events.SERVICE)

    def _tell(self, found: ReadEvents) -> None:
        EVENTS.add(sum(map(len, found.batches)), outcome="taken")
        for name, count in Counter(code.code for _, code, _ in found.refused).items():
            EVENTS.add(count, outcome=name)
            EventsRefused(*self._followed, name, count).emit()

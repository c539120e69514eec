"""Intake's outside for the tests of this folder: objects and a queue as plain data, a memory log with a catalogue."""

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote_plus

import msgspec

from contracts import catalog, codec, codes
from contracts.codes import Code
from contracts.messages.entities import Audience, CatalogueEntity, Feed, Marker, Source, catalogue_key
from contracts.messages.intake import IntakeEvent, ObjectVersion
from contracts.partitioning import space_partition
from contracts.records import Out, Record, TopicPartition
from services.adapters.memory import Faults, MemoryBroker, MemoryLog
from services.runtime.catalogue_view import CatalogueView
from services.runtime.clock import SystemClock
from services.runtime.failures import Rejected, Unavailable
from services.runtime.health import Health
from services.runtime.log import Log, Producer
from services.runtime.objects import QueuedMessage

BUCKET = "drops"
PUT_MS = 1_767_225_600_000  # 2026-01-01
PARTITIONS = 3
CREATED = "2026-01-01T00:00:00.000Z"


@dataclass
class MemoryObjects:
    """Implements `Objects`: one present version a key, and what shall go wrong."""

    present: dict[str, tuple[ObjectVersion, bytes]] = field(default_factory=dict)
    refused: dict[str, Code] = field(default_factory=dict)  # by key, for every call
    outages: int = 0  # so many calls from now on find the store down
    breaks_after_bytes: int | None = None
    chunks_read: int = 0
    listed: list[str] = field(default_factory=list)  # prefixes, as they were asked for

    def put(self, key: str, body: bytes, *, at_ms: int = PUT_MS) -> ObjectVersion:
        version = ObjectVersion(
            bucket=BUCKET,
            key=key,
            etag=hashlib.md5(body, usedforsecurity=False).hexdigest(),
            size_bytes=len(body),
            last_modified_ms=at_ms,
        )
        self.present[key] = version, body
        return version

    async def stat(
        self, bucket: str, key: str, *, version_id: str | None = None, etag: str | None = None
    ) -> ObjectVersion:
        self._may_fail(key)
        version = self.present.get(key, (None, b""))[0] if bucket == BUCKET else None
        if version is None:
            raise Rejected(codes.OBJECT_GONE, "none")
        if etag is not None and etag != version.etag:
            raise Rejected(codes.OBJECT_OVERWRITTEN, "another")
        return version

    async def read(self, version: ObjectVersion, *, chunk_bytes: int) -> AsyncIterator[bytes]:
        await self.stat(version.bucket, version.key, etag=version.etag)
        body = self.present[version.key][1]
        for start in range(0, len(body), chunk_bytes):
            if self.breaks_after_bytes is not None and start >= self.breaks_after_bytes:
                raise Unavailable("the body broke")
            self.chunks_read += 1
            yield body[start : start + chunk_bytes]

    async def write(self, bucket: str, key: str, body: bytes, *, content_type: str) -> None:
        self._may_fail(key)
        self.put(key, body)

    async def list_prefix(self, bucket: str, prefix: str) -> AsyncIterator[ObjectVersion]:
        self.listed.append(prefix)
        self._may_fail(prefix)
        for key, (version, _) in sorted(self.present.items()):
            if bucket == BUCKET and key.startswith(prefix):
                yield version

    async def close(self) -> None:
        """Nothing is held."""

    def _may_fail(self, key: str) -> None:
        if self.outages > 0:
            self.outages -= 1
            raise Unavailable("the store is down")
        if key in self.refused:
            raise Rejected(self.refused[key], "refused")


class MemoryQueue:
    """Implements `NotificationQueue`: what is not done comes again."""

    def __init__(self) -> None:
        self.waiting: deque[QueuedMessage] = deque()
        self.seen: list[str] = []
        self.settled: list[str] = []
        self._count = 0
        self._arrived = asyncio.Event()

    def put(self, body: bytes) -> str:
        self._count += 1
        message = QueuedMessage(body=body, receipt=f"r{self._count}", receive_count=1, message_id=f"m{self._count}")
        self.waiting.append(message)
        self._arrived.set()
        return message.receipt

    async def receive(self, *, messages_max: int, wait_seconds: float) -> list[QueuedMessage]:
        if not self.waiting:
            self._arrived.clear()
            await asyncio.wait_for(self._arrived.wait(), wait_seconds)
        messages = list(self.waiting)[:messages_max]
        self.seen += [message.receipt for message in messages]
        return messages

    async def done(self, receipts: Sequence[str]) -> None:
        self.settled += receipts
        self.waiting = deque(message for message in self.waiting if message.receipt not in receipts)

    async def close(self) -> None:
        """Nothing is held."""


@dataclass
class World:
    """A broker with usher's topics, a connection of the service under test, and its catalogue view."""

    broker: MemoryBroker
    log: MemoryLog
    producer: Producer
    catalogue: CatalogueView
    health: Health
    objects: MemoryObjects

    async def publish(self, *entities: CatalogueEntity) -> None:
        """As control does."""
        producer = await self.broker.connect("control").producer()
        await producer.send([catalogue_record(entity) for entity in entities])

    async def records(self, topic: str) -> list[Record]:
        """All of a topic, by partition and offset."""
        return await all_records(self.broker.connect("test"), topic)

    async def said(self, *, at_least: int = 0) -> list[IntakeEvent]:
        """What control was told, once it is so much; each on its space's partition, with the tag in the headers."""
        events: list[IntakeEvent] = []
        async with asyncio.timeout(20):
            while len(records := await self.records(catalog.INTAKE_EVENTS)) < at_least:  # noqa: ASYNC110 - a log to read
                await asyncio.sleep(0.005)
        for record in records:
            event: IntakeEvent = msgspec.json.decode(record.value or b"", type=IntakeEvent)
            assert record.partition == space_partition(event.space_id, PARTITIONS)
            assert record.key == event.space_id.encode()
            assert codec.header(record.headers, "ce_type") == json.loads(record.value or b"")["type"]
            events.append(event)
        return events

    async def dead_letters(self) -> list[dict[str, str | None]]:
        """Code and origin of each, sorted; the value is under "value"."""
        names = ("dlq-code", "dlq-topic", "dlq-offset", "dlq-detail", "dlq-service")
        return [
            {name: codec.header(record.headers, name) for name in names}
            | {"value": (record.value or b"").decode(errors="replace")}
            for record in await self.records(catalog.DEAD_LETTERS)
        ]


@asynccontextmanager
async def world(*, faults: Faults | None = None, following: bool = True) -> AsyncIterator[World]:
    """With usher's topics; the catalogue view follows unless `run_intake` brings its own."""
    broker = MemoryBroker(faults=faults)
    setup = broker.connect("setup")
    for topic in catalog.topic_pages():
        if topic not in catalog.PATTERN_PAGES:
            await setup.ensure_topic(catalog.topic_spec(topic, PARTITIONS))
    log = broker.connect("intake")
    clock = SystemClock()
    health = Health(clock)
    catalogue = CatalogueView(log, clock=clock, health=health)
    stopping = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        if following:
            tasks.create_task(catalogue.run(stopping))
        try:
            yield World(broker, log, await log.producer(), catalogue, health, MemoryObjects())
        finally:
            stopping.set()


def catalogue_record(entity: CatalogueEntity) -> Out:
    home = space_partition(entity.space_id, PARTITIONS)
    return Out(catalog.CATALOGUE, catalogue_key(entity).encode(), codec.encode(entity), (), home)


async def all_records(log: Log, topic: str) -> list[Record]:
    partitions = [TopicPartition(topic, partition) for partition in range(await log.partitions(topic))]
    ends = await log.end_offsets(partitions, committed_only=True)
    reader = await log.reader(partitions)
    records: list[Record] = []
    for partition in partitions:
        while await reader.position(partition) < ends[partition]:
            records += await reader.read(timeout_seconds=0.1)
    await reader.close()
    return sorted(records, key=lambda record: (record.partition, record.offset))


def feed(
    feed_id: str,
    prefix: str,
    *,
    space_id: str = "acme",
    bucket: str | None = None,
    enabled: bool = True,
    marker: str | None = None,
) -> Feed:
    return Feed(
        space_id=space_id,
        feed_id=feed_id,
        name=feed_id,
        created_at=CREATED,
        updated_at=CREATED,
        source=Source(kind="s3", bucket=bucket, prefix=prefix),
        mode="append",
        id_type="kuid",
        lookback_days=10,
        complete_on="object" if marker is None else Marker(marker=marker),
        enabled=enabled,
    )


def audience(name: str, *, created_step: int = 1, space_id: str = "acme") -> Audience:
    return Audience(
        space_id=space_id,
        audience_id=f"aud_{name}",
        name=name,
        kind="list",
        id_type="kuid",
        created_at=CREATED,
        updated_at=CREATED,
        created_step=created_step,
        step=created_step,
    )


def aws_record(version: ObjectVersion, *, key: str | None = None, name: str = "ObjectCreated:Put") -> dict[str, object]:
    """One of `Records`; `key` as it stands there, encoded as AWS does unless given."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "eventTime": "2026-01-01T00:00:05.123Z",
        "eventName": name,
        "userIdentity": {"principalId": "AWS:X"},
        "s3": {
            "bucket": {"name": version.bucket},
            "object": {
                "key": key if key is not None else quote_plus(version.key, safe="/"),
                "eTag": version.etag,
                "sequencer": "0A",
            },
        },
    }


def notification(*records: dict[str, object]) -> bytes:
    return json.dumps({"Records": records}).encode()


def notified(body: bytes | None, offset: int = 0) -> Record:
    return Record("their.topic", 1, offset, PUT_MS + 7, b"key", body, (("theirs", b"header"),))

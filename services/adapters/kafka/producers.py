"""The two producers on Kafka: idempotent, acks=all, whole batches (`conversion.py`), every outcome waited for."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import starmap
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from contracts.partitioning import default_partition
from contracts.records import Out, TopicPartition
from services.adapters.kafka import (
    internals,
    produced,  # noqa: F401 - for what importing it does
)
from services.adapters.kafka.admission import starting
from services.adapters.kafka.batches import LARGE_BYTES, WholeBatch, copied, large
from services.adapters.kafka.conversion import Batch, alike, packed, waves
from services.adapters.kafka.errors import translated
from services.adapters.kafka.memberships import add_offsets_by
from services.adapters.kafka.settings import KafkaSettings
from services.adapters.kafka.small_writes import SmallWrites
from services.adapters.kafka.topics import KafkaTopics
from services.runtime.failures import Rejected, Stop, Unavailable
from services.runtime.log import Membership

_BATCH_BYTES: Final = 1 << 20  # room for what `conversion` packs; a single larger record is a batch all the same
_REQUEST_BYTES: Final = 17 << 20
_RETRY_MS: Final = 10


class Writer:
    """Writes records through one aiokafka producer."""

    def __init__(
        self, settings: KafkaSettings, topics: KafkaTopics, producer: AIOKafkaProducer, *, transactional: bool
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._producer = producer
        self._transactional = transactional

    async def pack(self, outs: Sequence[Out]) -> dict[TopicPartition, list[Batch]]:
        """Raises `Rejected` for what its topic does not take, by the settings that it has now."""
        names = {out.topic for out in outs}
        counts: dict[str, int] = {}
        for name in names:  # all at once: asked one by one, a thousand topics took longer than any deadline
            self._producer.client.add_topic(self._settings.full(name))
        with translated("looking for the partitions"):
            async with asyncio.timeout(self._settings.request_timeout_seconds):
                for name in names:
                    counts[name] = len(await self._producer.partitions_for(self._settings.full(name)))
        # One partition a call for all records that have neither key nor partition: fewer batches.
        keyless = {name: random.randrange(count) for name, count in counts.items()}  # noqa: S311 - spreads load

        def place(out: Out) -> int:
            if out.partition is not None:
                return out.partition
            return keyless[out.topic] if out.key is None else default_partition(out.key, counts[out.topic])

        try:
            return packed(outs, await self._topics.limits(names), place)
        except Rejected:
            self._topics.forget_limits(names)  # an operator may have raised them
            return packed(outs, await self._topics.limits(names), place)

    async def write(self, batches: Mapping[TopicPartition, Sequence[Batch]]) -> None:
        """Returns when all are stored. Raises `Fenced` or `Unavailable`: then nobody knows which are."""
        for wave in waves(batches):
            names = sorted({batch.partition.topic for batch in wave})
            try:
                with translated(f"writing to {', '.join(names)}"):
                    async with asyncio.timeout(self._settings.request_timeout_seconds):
                        built = [one for group in alike(wave) for one in self._built(group)]
                        outcomes = await asyncio.gather(*starmap(self._store, built), return_exceptions=True)
                    for outcome in outcomes:
                        if outcome is not None:
                            raise outcome
            except Rejected as late:
                self._topics.forget_limits(names)  # an operator has lowered them: the next attempt will know
                raise Unavailable(str(late)) from late

    async def _store(self, batch: Batch, built: BatchBuilder | WholeBatch) -> None:
        theirs = self._settings.theirs(batch.partition)
        await (await self._producer.send_batch(built, theirs.topic, partition=theirs.partition))

    def _built(self, group: Sequence[Batch]) -> Iterator[tuple[Batch, BatchBuilder | WholeBatch]]:
        """Batches of the same records, which are written out once for all of them."""
        first, count = group[0], len(group[0].outs)
        now_ms = time.time_ns() // 1_000_000
        if first.bytes >= count * LARGE_BYTES:
            parts = large(first.outs)
        elif len(group) > 1:
            parts = copied(self._small(first, now_ms)._build())  # noqa: SLF001 - as its producer asks for it
        else:
            yield first, self._small(first, now_ms)
            return
        for batch in group:
            yield batch, WholeBatch(parts, count, now_ms, transactional=self._transactional)

    def _small(self, batch: Batch, now_ms: int) -> BatchBuilder:
        builder = self._producer.create_batch()
        for out in batch.outs:
            added = builder.append(timestamp=now_ms, key=out.key, value=out.value, headers=list(out.headers))
            assert added is not None, (batch.partition, batch.bytes)
        builder.close()
        return builder

    async def abandon(self) -> None:
        """Whatever is still held is not sent."""
        await internals.abandon(self._producer)


class KafkaProducer:
    """Implements `Producer`; several tasks may send at once. After `Unavailable` it begins again by itself."""

    def __init__(self, settings: KafkaSettings, topics: KafkaTopics) -> None:
        self._settings = settings
        self._topics = topics
        self._begun: tuple[Writer, SmallWrites] | None = None
        self._starting = asyncio.Lock()

    async def send(self, outs: Sequence[Out]) -> None:
        if not outs:
            return
        begun = writer, small = await self.started()
        try:
            await small.store(outs)
        except Unavailable:
            # What it still holds must not be written after the caller's next attempt.
            if self._begun is begun:
                self._begun = None
            await writer.abandon()
            raise

    async def close(self) -> None:
        if self._begun is not None:
            await self._begun[0].abandon()
            self._begun = None

    async def started(self) -> tuple[Writer, SmallWrites]:
        """The writer, made where there is none, and what writes through it."""
        async with self._starting:
            if self._begun is None:
                producer = await _started(self._settings)
                writer = Writer(self._settings, self._topics, producer, transactional=False)
                self._begun = writer, SmallWrites(writer)
            return self._begun


class KafkaTransactionalProducer:
    """Implements `TransactionalProducer`. Its first failure is its last: every later call repeats it."""

    def __init__(self, settings: KafkaSettings, topics: KafkaTopics, producer: AIOKafkaProducer, id: str) -> None:
        self._settings = settings
        self._producer = producer
        self._writer = Writer(settings, topics, producer, transactional=True)
        self._id = id
        self._open = False
        self._spent: Stop | Unavailable | None = None

    @classmethod
    async def initialised(
        cls, settings: KafkaSettings, topics: KafkaTopics, transactional_id: str, timeout_seconds: float
    ) -> "KafkaTransactionalProducer":
        """Fences whoever holds the id, and returns when its open transaction is settled."""
        producer = await _started(
            settings,
            transactional_id=settings.full(transactional_id),
            transaction_timeout_ms=round(timeout_seconds * 1000),
        )
        return cls(settings, topics, producer, transactional_id)

    async def begin(self) -> None:
        assert not self._open, "a transaction is open"
        async with self._call("beginning a transaction"):
            await self._producer.begin_transaction()
        self._open = True

    async def send(self, outs: Sequence[Out]) -> None:
        assert self._open, "no transaction is open"
        self._check()
        batches = await self._writer.pack(outs)
        with self._spending("writing in a transaction"):
            await self._writer.write(batches)

    async def commit(self, offsets: Mapping[TopicPartition, int], by: Membership | str) -> None:
        assert self._open, "no transaction is open"
        async with self._call("committing a transaction"):
            if offsets:
                if isinstance(by, Membership):
                    add_offsets_by(self._producer, by)
                group = by if isinstance(by, str) else by.group
                theirs = {self._settings.theirs(partition): offset for partition, offset in offsets.items()}
                await self._producer.send_offsets_to_transaction(theirs, self._settings.full(group))
            await self._producer.commit_transaction()
        self._open = False

    async def abort(self) -> None:
        if not self._open:
            return
        async with self._call("aborting a transaction"):
            await self._producer.abort_transaction()
        self._open = False

    async def close(self) -> None:
        if self._spent is None:
            self._spent = Unavailable(f"the producer of {self._id} was closed")
        await self._writer.abandon()

    def _check(self) -> None:
        if self._spent is not None:
            raise self._spent

    @asynccontextmanager
    async def _call(self, doing: str) -> AsyncIterator[None]:
        """One request to the transaction's coordinator; aiokafka itself would repeat it for ever."""
        with self._spending(doing), translated(f"{doing} of {self._id}"):
            async with asyncio.timeout(self._settings.request_timeout_seconds):
                yield

    @contextmanager
    def _spending(self, doing: str) -> Iterator[None]:
        """The first failure, or an interruption, is the end of this producer."""
        self._check()
        try:
            yield
        except (Stop, Unavailable) as failure:
            self._spent = failure
            raise
        except asyncio.CancelledError:
            self._spent = Unavailable(f"{doing} of {self._id} was interrupted: the outcome is unknown")
            raise


async def _started(settings: KafkaSettings, **more: Any) -> AIOKafkaProducer:
    producer = AIOKafkaProducer(
        **settings.client(),
        acks="all",
        enable_idempotence=True,
        max_batch_size=_BATCH_BYTES,
        max_request_size=_REQUEST_BYTES,
        retry_backoff_ms=_RETRY_MS,
        **more,
    )
    try:
        async with starting(settings, "initialising a producer"), asyncio.timeout(settings.request_timeout_seconds):
            await producer.start()
    except BaseException:
        await internals.abandon(producer)
        raise
    return producer

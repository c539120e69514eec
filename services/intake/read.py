"""Read: exact object versions become sealed rows on the membership input, and a word to control.

Owns the I/O of a reading: the object in, batches, seals and reject file out, in bounded memory. What the bytes mean is
`services.domain.intake`'s. Every attempt has a reading id of its own, so a reading that dies half-way leaves only rows
that membership will never apply.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Final

from contracts import codec, codes
from contracts.codes import Code
from contracts.messages.entities import Audience
from contracts.messages.intake import ObjectVersion, ReadingFailed, ReadingFinished, ReadingProgress, ReadRequest
from contracts.messages.steps import Seal
from contracts.raw_ids import kept_id_type
from contracts.records import Record, TopicPartition
from services.domain.intake.audiences import audience_resolver
from services.domain.intake.inflate import SIZE_BYTES_MAX, Inflate
from services.domain.intake.keys import rejects_key
from services.domain.intake.reading import EncodedRows, Reading
from services.domain.intake.refused import ObjectRefused
from services.intake import events
from services.intake.progress import ReadingMeter
from services.intake.sending import Ahead, one_ahead
from services.intake.telemetry import (
    READING_SECONDS,
    READING_STAGE_SECONDS,
    ROWS,
    ObjectUncompressed,
    ReadingEnded,
    ReadingGivenUp,
    RejectsNotWritten,
    RequestRefused,
)
from services.runtime.catalogue_view import CatalogueView
from services.runtime.clock import Clock
from services.runtime.dead_letters import dead_letter
from services.runtime.failures import Rejected, Unavailable
from services.runtime.log import Producer
from services.runtime.objects import Objects
from services.runtime.stages import Stages

RECORDS_MAX: Final = 16  # small objects read at once: each waits for the store and the broker some ten times
SMALL_BYTES_MAX: Final = 256 << 10  # larger ones are read and committed by themselves: a restart repeats one at most
CHUNK_BYTES: Final = 1 << 20
PLAIN_BYTES_MAX: Final = 1_000_000_000
_JSON_LINES: Final = "application/x-ndjson"
_STAGES: Final = ("download", "inflate", "parse", "canonicalise", "scatter", "send")


class _Failed(Exception):  # noqa: N818 - named for what became of the attempt
    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail


class Readings:
    """Implements `Deliver` over `usher.intake.requests.v1`. `new_id` makes reading ids, never the same twice."""

    def __init__(
        self,
        catalogue: CatalogueView,
        objects: Objects,
        producer: Producer,
        *,
        clock: Clock,
        new_id: Callable[[], str],
        membership_partitions: int,
        control_partitions: int,
        object_bytes_max: int = SIZE_BYTES_MAX,
        plain_object_bytes_max: int = PLAIN_BYTES_MAX,
    ) -> None:
        self._catalogue = catalogue
        self._objects = objects
        self._producer = producer
        self._clock = clock
        self._new_id = new_id
        self._membership_partitions = membership_partitions
        self._control_partitions = control_partitions
        self._object_bytes_max = object_bytes_max
        self._plain_object_bytes_max = plain_object_bytes_max

    async def assigned(self, partition: TopicPartition) -> None:
        """Nothing is kept from one request to the next."""

    async def handle(self, partition: TopicPartition, records: Sequence[Record]) -> None:  # noqa: ARG002 - the port's
        """Returns when each reading has ended one way or the other, and control can know. All are read at once."""
        outcomes = await asyncio.gather(*map(self._handled, records), return_exceptions=True)
        for outcome in outcomes:  # none is left running when one fails
            if outcome is not None:
                raise outcome

    async def revoked(self, partition: TopicPartition) -> None:
        """Nothing to give up."""

    async def _handled(self, record: Record) -> None:
        try:
            request = codec.decode(record.value or b"", ReadRequest)
        except codec.Unreadable as error:
            RequestRefused(record.partition, record.offset, error.detail).emit()
            letter = dead_letter(record, error.code, error.detail, service=events.SERVICE)
            await self._producer.send([letter])
        else:
            await self._answer(request)

    async def _answer(self, request: ReadRequest) -> None:
        began_seconds = self._clock.monotonic_seconds()
        reading_id = self._new_id()
        await self._catalogue.caught_up()
        said: ReadingFinished | ReadingFailed
        try:
            said = await self._read(request, reading_id)
        except _Failed as failed:
            said = _failed(request, failed)
        await self._producer.send(
            [
                events.reading_ended(
                    said, reading_id=reading_id, now_ms=self._clock.now_ms(), partitions=self._control_partitions
                )
            ]
        )
        seconds = self._clock.monotonic_seconds() - began_seconds
        READING_SECONDS.observe(seconds)
        if isinstance(said, ReadingFinished):
            _tell(said, seconds)

    async def _read(self, request: ReadRequest, reading_id: str) -> ReadingFinished:
        audiences = self._catalogue.all(Audience, request.space_id)
        id_type = kept_id_type(request.id_type)
        resolve = audience_resolver(audiences, id_type=id_type, open_step=request.open_step)
        reading = Reading(request, resolve, self._membership_partitions, inflate=self._inflate())
        meter = ReadingMeter(request, clock=self._clock)
        stages = Stages(self._clock, *_STAGES)
        reading.stage_ended = stages.end
        async with Ahead(self._producer) as ahead:

            async def pass_on(made: Iterator[list[EncodedRows]]) -> None:
                async for batches in _in_thread(made):
                    await ahead.send([events.rows(request, reading_id, batch) for batch in batches])
                    stages.end("send")

            *others, last = request.objects or [request.object]
            for version in (*others, last):
                if request.objects:
                    reading.begin(version.key, self._inflate())
                try:
                    async with aclosing(one_ahead(self._chunks(version))) as chunks:
                        async for chunk in chunks:
                            stages.end("download")
                            await pass_on(reading.feed(chunk))
                            meter.count(chunk)
                            await self._tell_progress(meter.due(reading.counts.rows), reading_id)
                    await pass_on(reading.finish() if version is last else reading.end_object())
                except (ObjectRefused, Rejected) as refused:
                    where = f"{version.key}: " if request.objects else ""
                    raise _Failed(refused.code, f"{where}{refused.detail}") from None
        await self._seal(request, reading_id, reading)
        stages.end("send")
        stages.show(READING_STAGE_SECONDS)
        return ReadingFinished(
            space_id=request.space_id,
            import_id=request.import_id,
            reading_id=reading_id,
            attempt=request.attempt,
            counts=reading.counts,
            audiences=reading.audiences,
            rejected_by_code=reading.rejects.by_code,
            rejects=await self._write_rejects(request, reading),
            warnings=self._warnings(request, reading),
        )

    def _warnings(self, request: ReadRequest, reading: Reading) -> dict[str, str]:
        """By code, what should have been otherwise and was read all the same."""
        if reading.plain_bytes < self._plain_object_bytes_max:
            return {}
        ObjectUncompressed(request.space_id, request.import_id, reading.plain_bytes).emit()
        detail = f"{reading.plain_bytes:,} bytes: compress objects of {self._plain_object_bytes_max:,} and more"
        return {codes.OBJECT_UNCOMPRESSED.code: detail}

    async def _tell_progress(self, said: ReadingProgress | None, reading_id: str) -> None:
        if said is not None:
            now_ms = self._clock.now_ms()
            out = events.progress(said, reading_id=reading_id, now_ms=now_ms, partitions=self._control_partitions)
            await self._producer.send([out])

    def _inflate(self) -> Inflate:
        return Inflate(size_bytes_max=self._object_bytes_max)

    async def _chunks(self, version: ObjectVersion) -> AsyncGenerator[bytes, None]:
        """The object's bytes; where the store does not answer the attempt has failed, and control asks again."""
        source = self._objects.read(version, chunk_bytes=CHUNK_BYTES)
        try:
            async for chunk in source:
                yield chunk
        except Unavailable as error:
            raise _Failed(codes.OBJECT_UNREADABLE, str(error)) from None
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()  # the rest of a refused object is not fetched

    async def _seal(self, request: ReadRequest, reading_id: str, reading: Reading) -> None:
        now_ms = self._clock.now_ms()
        sealed = zip(reading.batches, reading.rows, strict=True)
        said = [
            Seal(
                space_id=request.space_id,
                import_id=request.import_id,
                reading_id=reading_id,
                batches=batches,
                rows=rows,
            )
            for batches, rows in sealed
        ]
        await self._producer.send(
            [events.seal(one, partition=partition, now_ms=now_ms) for partition, one in enumerate(said)]
        )

    async def _write_rejects(self, request: ReadRequest, reading: Reading) -> str | None:
        """Where the reject file is; None where nothing was refused, or where we may not write."""
        if not reading.rejects.count:
            return None
        bucket, key = request.object.bucket, rejects_key(request.prefix, request.import_id)
        try:
            await self._objects.write(bucket, key, reading.rejects.body(), content_type=_JSON_LINES)
        except Unavailable as error:
            raise _Failed(codes.OBJECT_UNREADABLE, f"the reject file: {error}") from None
        except Rejected as refused:
            RejectsNotWritten(request.space_id, request.import_id, refused.detail).emit()
            return None
        return f"s3://{bucket}/{key}"


def runs(records: Sequence[Record]) -> Iterator[list[Record]]:
    """Requests for small objects that follow one another are one run; any other is one by itself."""
    for small, found in groupby(records, _is_small):
        if small:
            yield list(found)
        else:
            yield from ([record] for record in found)


def _is_small(record: Record) -> bool:
    try:
        request = codec.decode(record.value or b"", ReadRequest)
    except codec.Unreadable:
        return True
    size_bytes = request.object.size_bytes
    return not request.objects and size_bytes is not None and size_bytes <= SMALL_BYTES_MAX


async def _in_thread(batches: Iterator[list[EncodedRows]]) -> AsyncIterator[list[EncodedRows]]:
    """Each item is made in a thread, and only when it is asked for."""
    while (made := await asyncio.to_thread(next, batches, None)) is not None:
        yield made


def _failed(request: ReadRequest, failed: _Failed) -> ReadingFailed:
    ReadingGivenUp(request.space_id, request.import_id, request.attempt, failed.code.code, failed.detail).emit()
    return ReadingFailed(
        space_id=request.space_id,
        import_id=request.import_id,
        attempt=request.attempt,
        code=failed.code.code,
        detail=failed.detail,
        retryable=failed.code.retryable,
    )


def _tell(said: ReadingFinished, seconds: float) -> None:
    ROWS.add(said.counts.valid, outcome="valid")
    for code, count in said.rejected_by_code.items():
        ROWS.add(count, outcome=code)
    ReadingEnded(said.space_id, said.import_id, said.reading_id, said.counts.rows, said.counts.rejected, seconds).emit()

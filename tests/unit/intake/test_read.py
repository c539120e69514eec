"""A request becomes sealed rows and a word to control, or a word on why not; never anything in between that counts."""

import gzip
import json
from collections.abc import Sequence
from typing import get_args

import pytest

from contracts import catalog, codec, codes
from contracts.codes import Code
from contracts.messages.entities import Column
from contracts.messages.intake import (
    IntakeEvent,
    ReadingFailed,
    ReadingFinished,
    RowCounts,
)
from contracts.messages.steps import Seal
from contracts.partitioning import member_partition
from contracts.records import Out, Record
from services.domain.intake.reading import StageName
from services.domain.rows import decode_rows, read_rows_header
from services.intake.read import CHUNK_BYTES, SMALL_BYTES_MAX, runs
from services.runtime.failures import Unavailable
from services.runtime.log import Producer
from services.runtime.telemetry import REGISTRY
from tests.unit.intake.asking import KEY, REJECTS_KEY, REQUESTS, WIDE, asked, asked_for_set, readings
from tests.unit.intake.outside import BUCKET, PARTITIONS, World, audience, feed, world


async def sent(outside: World, reading_id: str) -> tuple[list[tuple[str, str]], list[Seal]]:
    """The rows and seals of a reading: every batch in its place, in sequence, before its seal."""
    rows: list[tuple[str, str]] = []
    seals: list[Seal] = []
    batches = dict.fromkeys(range(PARTITIONS), 0)
    counted = dict.fromkeys(range(PARTITIONS), 0)
    for record in await outside.records(catalog.INPUT):
        assert record.key == b"acme"
        assert len(record.value or b"") < 1 << 20
        if codec.header(record.headers, "ce_type") == "seal":
            seal = codec.decode(record.value or b"", Seal)
            if seal.reading_id == reading_id:
                assert (seal.batches, seal.rows) == (batches[record.partition], counted[record.partition])
                assert len(seals) == record.partition
                seals.append(seal)
            continue
        header = read_rows_header(record.headers)
        if header.reading_id != reading_id:
            continue
        assert (header.space_id, header.import_id, header.id_type) == ("acme", "imp_1", "kuid")
        assert header.sequence == batches[record.partition]
        batch = decode_rows(record.value or b"")
        batches[record.partition] += 1
        counted[record.partition] += len(batch)
        values = batch.identities.texts()
        assert all(member_partition(value, PARTITIONS) == record.partition for value in set(values))
        rows += list(zip(values, (batch.audiences[i] for i in batch.audience), strict=True))
    return sorted(rows), seals


async def answer(outside: World, body: bytes, *, object_bytes_max: int = 1 << 30) -> IntakeEvent:
    """Handles one request, and returns the one thing that control is told."""
    await outside.publish(audience("a"), audience("b"), audience("late", created_step=6))
    await readings(outside, object_bytes_max=object_bytes_max).handle(REQUESTS, [asked(outside, body)])
    (said,) = await outside.said()
    return said


@pytest.mark.parametrize("packed", [False, True])
async def test_a_reading(*, packed: bool) -> None:
    body = "".join(f"u{n}^{'ab'[n % 2]}\n" for n in range(1000)).encode() + b"u1^b\n"
    async with world() as outside:
        said = await answer(outside, gzip.compress(body) if packed else body)
        assert said == ReadingFinished(
            space_id="acme",
            import_id="imp_1",
            reading_id="reading-1",
            attempt=1,
            counts=RowCounts(rows=1001, valid=1001, rejected=0),
            audiences=["aud_a", "aud_b"],
        )
        rows, seals = await sent(outside, "reading-1")
        assert rows == sorted([*((f"u{n}", f"aud_{'ab'[n % 2]}") for n in range(1000)), ("u1", "aud_b")])
        assert len(seals) == PARTITIONS
        assert set(outside.objects.present) == {KEY}, "no reject file without rejects"


async def test_the_stages_of_a_reading_are_timed_once() -> None:
    def readings_timed() -> dict[str, float]:
        name, stages = "usher_reading_stage_seconds_count", ("download", *get_args(StageName), "send")
        return {stage: REGISTRY.get_sample_value(name, {"stage": stage}) or 0.0 for stage in stages}

    before = readings_timed()
    async with world() as outside:
        await answer(outside, b"u1^a\nu2^b\n")
    async with world() as outside:
        await answer(outside, b"\x1f\x8bnot gzip at all")
    assert readings_timed() == {stage: count + 1 for stage, count in before.items()}, "one was read to its end"


async def test_partitions_without_rows_are_sealed_too() -> None:
    async with world() as outside:
        await answer(outside, b"u1^a\n")
        _, seals = await sent(outside, "reading-1")
        assert sorted(seal.rows for seal in seals) == [0, 0, 1]


async def test_nothing_in_it() -> None:
    async with world() as outside:
        said = await answer(outside, b"")
        assert isinstance(said, ReadingFinished)
        assert (said.counts, said.audiences) == (RowCounts(), [])
        rows, seals = await sent(outside, "reading-1")
        assert (rows, len(seals)) == ([], PARTITIONS)


async def test_rejects_are_counted_and_kept_without_identities() -> None:
    async with world() as outside:
        said = await answer(outside, b"u1^a\nsecret-one^nobody\n^a\nsecret-two^a^b\nu2^late\nu3^a\n")
        assert isinstance(said, ReadingFinished)
        assert said.counts == RowCounts(rows=6, valid=2, rejected=4)
        assert said.rejected_by_code == {"row-columns": 1, "row-identifier-empty": 1, "row-audience-unknown": 2}
        assert said.rejects == f"s3://{BUCKET}/{REJECTS_KEY}"
        body = outside.objects.present[REJECTS_KEY][1]
        assert [(one["row"], one["code"]) for one in map(json.loads, body.splitlines())] == [
            (2, "row-audience-unknown"),
            (3, "row-identifier-empty"),
            (4, "row-columns"),
            (5, "row-audience-unknown"),
        ]
        assert b"secret" not in body


async def test_a_bucket_that_we_may_not_write_to_costs_the_reject_file_only() -> None:
    async with world() as outside:
        outside.objects.refused[REJECTS_KEY] = codes.OBJECT_ACCESS_DENIED
        said = await answer(outside, b"u1^a\n^a\n")
        assert isinstance(said, ReadingFinished)
        assert (said.counts.rejected, said.rejects) == (1, None)


GZIP = gzip.compress(b"u1^a\n" * 100_000)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (GZIP[:-10], codes.OBJECT_TRUNCATED),
        (GZIP + b"junk", codes.OBJECT_TRUNCATED),
        (b"\x1f\x8bjunk", codes.OBJECT_TRUNCATED),
        (gzip.compress(bytes(1 << 20)) * 10, codes.OBJECT_TOO_LARGE),
        (WIDE * 30_000, codes.OBJECT_TOO_LARGE),
    ],
)
async def test_an_object_that_is_refused(body: bytes, code: Code) -> None:
    async with world() as outside:
        said = await answer(outside, body, object_bytes_max=5_500_000)
        assert isinstance(said, ReadingFailed)
        assert (said.code, said.retryable, said.attempt) == (code.code, False, 1)
        assert (await sent(outside, "reading-1"))[1] == [], "never sealed, so never applied"


async def test_a_csv_without_its_header() -> None:
    async with world() as outside:
        await readings(outside).handle(REQUESTS, [asked(outside, b"x,y\nu1,a\n", format="csv")])
        (said,) = await outside.said()
        assert isinstance(said, ReadingFailed)
        assert (said.code, said.retryable) == ("object-header-invalid", False)


@pytest.mark.parametrize("code", [codes.OBJECT_GONE, codes.OBJECT_OVERWRITTEN, codes.OBJECT_ACCESS_DENIED])
async def test_an_object_that_the_store_refuses(code: Code) -> None:
    async with world() as outside:
        outside.objects.refused[KEY] = code
        said = await answer(outside, b"u1^a\n")
        assert isinstance(said, ReadingFailed)
        assert (said.code, said.retryable) == (code.code, False)


async def test_content_that_changed_since_the_request() -> None:
    async with world() as outside:
        record = asked(outside, b"u1^a\n")
        outside.objects.put(KEY, b"u2^a\n")
        await readings(outside).handle(REQUESTS, [record])
        (said,) = await outside.said()
        assert isinstance(said, ReadingFailed)
        assert said.code == "object-overwritten"


@pytest.mark.parametrize("breaks_after_bytes", [0, CHUNK_BYTES, 3 * CHUNK_BYTES])
async def test_a_store_that_does_not_answer(breaks_after_bytes: int) -> None:
    async with world() as outside:
        outside.objects.breaks_after_bytes = breaks_after_bytes
        said = await answer(outside, WIDE * 50_000)
        assert isinstance(said, ReadingFailed)
        assert (said.code, said.retryable) == ("object-unreadable", True)
        assert (await sent(outside, "reading-1"))[1] == []


async def test_a_reject_file_that_the_store_does_not_take_now() -> None:
    async with world() as outside:
        await outside.publish(audience("a"))
        record = asked(outside, b"u1^a\n^a\n")
        original = outside.objects.write

        async def write(bucket: str, key: str, body: bytes, *, content_type: str) -> None:
            outside.objects.outages = 1
            await original(bucket, key, body, content_type=content_type)

        outside.objects.write = write  # type: ignore[method-assign]  # the store goes down in this moment
        await readings(outside).handle(REQUESTS, [record])
        (said,) = await outside.said()
        assert isinstance(said, ReadingFailed)
        assert (said.code, said.retryable) == ("object-unreadable", True)


async def test_a_request_again_is_a_reading_of_its_own() -> None:
    async with world() as outside:
        await outside.publish(audience("a"))
        service = readings(outside)
        record = asked(outside, b"u1^a\n")
        await service.handle(REQUESTS, [record])
        await service.handle(REQUESTS, [record])
        assert [one.reading_id for one in await outside.said() if isinstance(one, ReadingFinished)] == [
            "reading-1",
            "reading-2",
        ]
        assert await sent(outside, "reading-1") != ([], [])
        rows, seals = await sent(outside, "reading-2")
        assert (rows, len(seals)) == ([("u1", "aud_a")], PARTITIONS)


async def test_several_objects_are_one_reading() -> None:
    """Each by itself: packed or not, its last line whole, its rows counted from the first."""
    async with world() as outside:
        await outside.publish(audience("a"))
        bodies = b"u1^a\n?\nu2^a", gzip.compress(b"u3^a\n"), b"", b"?\nu1^a\n"
        await readings(outside).handle(REQUESTS, [asked_for_set(outside, *bodies)])
        (said,) = await outside.said()
        assert isinstance(said, ReadingFinished)
        assert said.counts == RowCounts(rows=6, valid=4, rejected=2)
        rows, seals = await sent(outside, "reading-1")
        assert rows == [(value, "aud_a") for value in ("u1", "u1", "u2", "u3")]
        assert len(seals) == PARTITIONS
        lines = [json.loads(line) for line in outside.objects.present[REJECTS_KEY][1].splitlines()]
        assert lines == [
            {"row": 2, "code": "row-columns", "object": "part-0"},
            {"row": 1, "code": "row-columns", "object": "part-3"},
        ]


@pytest.mark.parametrize(
    ("bodies", "said_bytes"),
    [((b"u1^a\n" * 10,), 50), ((b"u1^a\n" * 9,), None), ((gzip.compress(b"u1^a\n" * 100),), None),
     ((b"", b"u1^a\n" * 30, b"u1^a\n" * 20, gzip.compress(b"u1^a\n")), 150), ((b"u1^a\n" * 9,) * 3, None)],
)  # fmt: skip
async def test_a_large_object_that_is_not_compressed_is_remarked_on(
    bodies: tuple[bytes, ...], said_bytes: int | None
) -> None:
    async with world() as outside:
        await outside.publish(audience("a"))
        before = REGISTRY.get_sample_value("usher_objects_uncompressed_total") or 0
        await readings(outside, plain_object_bytes_max=50).handle(REQUESTS, [asked_for_set(outside, *bodies)])
        (said,) = await outside.said()
    assert isinstance(said, ReadingFinished)
    remark = {codes.OBJECT_UNCOMPRESSED.code: f"{said_bytes} bytes: compress objects of 50 and more"}
    assert said.warnings == ({} if said_bytes is None else remark)
    assert (REGISTRY.get_sample_value("usher_objects_uncompressed_total") or 0) - before == len(said.warnings)


async def test_each_csv_of_several_has_its_own_header() -> None:
    async with world() as outside:
        await outside.publish(audience("a"))
        columns = [Column(name="id", role="identifier"), Column(name="s", role="audience")]
        request = asked_for_set(outside, b"id,s\nu1,a\n", b"s,id\na,u2\n", format="csv", columns=columns)
        await readings(outside).handle(REQUESTS, [request])
        rows, _ = await sent(outside, "reading-1")
        assert rows == [("u1", "aud_a"), ("u2", "aud_a")]


async def test_one_of_several_that_is_gone_fails_them_all() -> None:
    async with world() as outside:
        await outside.publish(audience("a"))
        request = asked_for_set(outside, b"u1^a\n", b"u2^a\n")
        del outside.objects.present["in/2026-01-01/part-1"]
        await readings(outside).handle(REQUESTS, [request])
        (said,) = await outside.said()
        assert isinstance(said, ReadingFailed)
        assert (said.code, said.detail.partition(":")[0]) == (codes.OBJECT_GONE.code, "in/2026-01-01/part-1")
        assert (await sent(outside, "reading-1"))[1] == []


async def test_an_audience_that_was_just_created_is_known() -> None:
    async with world() as outside:
        await outside.catalogue.caught_up()
        await outside.publish(*(feed(f"f{n}", f"{n}/") for n in range(500)))
        said = await answer(outside, b"u1^a\nu2^late\n")
        assert isinstance(said, ReadingFinished)
        assert said.counts == RowCounts(rows=2, valid=1, rejected=1)


async def test_a_request_that_nobody_understands() -> None:
    async with world() as outside:
        await outside.publish(audience("a"))
        good = asked(outside, b"u1^a\n")
        bad = [Record(catalog.INTAKE_REQUESTS, 0, 3, 0, b"acme", value, ()) for value in (b"{}", b"\xff", None)]
        await readings(outside).handle(REQUESTS, [*bad, good])
        assert len(await outside.said()) == 1
        letters = await outside.dead_letters()
        assert [(one["dlq-code"], one["dlq-offset"]) for one in letters] == [("command-invalid", "3")] * 3


class FailingOnce:
    """A producer whose first call finds no broker."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._failed = False

    async def send(self, outs: Sequence[Out]) -> None:
        if not self._failed:
            self._failed = True
            raise Unavailable("the broker is down")
        await self._producer.send(outs)

    async def close(self) -> None:
        """The producer is not ours."""


async def test_a_broker_that_fails_leaves_nothing_said() -> None:
    async with world() as outside:
        await outside.publish(audience("a"))
        service = readings(outside, producer=FailingOnce(outside.producer))
        record = asked(outside, WIDE * 50_000)
        with pytest.raises(Unavailable):
            await service.handle(REQUESTS, [record])
        assert await outside.said() == []
        assert (await sent(outside, "reading-1"))[1] == []
        await service.handle(REQUESTS, [record])
        (said,) = await outside.said()
        assert isinstance(said, ReadingFinished)
        assert said.reading_id == "reading-2"


async def test_small_objects_that_follow_one_another_are_read_at_once() -> None:
    async with world() as outside:
        small = [asked(outside, b"u1^a\n"), asked(outside, b"x" * SMALL_BYTES_MAX)]
        large = [asked(outside, b"x" * (SMALL_BYTES_MAX + 1)), asked_for_set(outside, b"u1^a\n")]
        odd = Record(catalog.INTAKE_REQUESTS, 0, 17, 0, b"acme", b"?", ())
        batch = [*small, odd, *large, *large, *small]
        assert list(runs(batch)) == [[*small, odd], *([one] for one in (*large, *large)), small]


async def test_what_is_read_at_once_is_whole_and_told_apart() -> None:
    async with world() as outside:
        await outside.publish(audience("a"))
        bodies = [f"u{number}^a\n".encode() for number in range(12)]
        requests = [asked(outside, body, key=f"in/{number}") for number, body in enumerate(bodies)]
        await readings(outside).handle(REQUESTS, requests)
        said = await outside.said()
        assert {type(one) for one in said} == {ReadingFinished}
        ids = [one.reading_id for one in said if isinstance(one, ReadingFinished)]
        found = [await sent(outside, reading_id) for reading_id in ids]
        assert sorted(rows[0][0] for rows, _ in found) == sorted(f"u{number}" for number in range(12))
        assert all(len(seals) == PARTITIONS for _, seals in found)


async def test_one_that_fails_for_now_leaves_none_under_way() -> None:
    async with world() as outside:
        await outside.publish(audience("a"))
        requests = [asked(outside, b"u1^a\n", key=f"in/{number}") for number in range(5)]
        with pytest.raises(Unavailable):
            await readings(outside, producer=FailingOnce(outside.producer)).handle(REQUESTS, requests)
        assert len(await outside.said()) == 4, "the others ended before it was raised"

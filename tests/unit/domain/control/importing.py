"""The other parts of an import's life: what watch, readers and partitions say."""

from contracts.messages.intake import ObjectAnnounced, ObjectVersion, ReadingFailed, ReadingFinished, RowCounts
from contracts.messages.published import Removal
from contracts.messages.results import Applied, ReadingBroken, Staged, Weighed
from contracts.records import Out
from tests.unit.domain.control.bench import PARTITIONS, SPACE, START_MS, Bench, requests

READING = "read_1"


def version(key: str = "full/2026-01-01/a.gz", **fields: object) -> ObjectVersion:
    """A version of an object in a bucket without versions."""
    given: dict[str, object] = {"etag": "e1", "size_bytes": 10, "last_modified_ms": START_MS}
    return ObjectVersion(bucket="bucket", key=key, **(given | fields))  # type: ignore[arg-type]  # a test's table


def announce(
    bench: Bench,
    object_: ObjectVersion | None = None,
    *,
    feed: str = "feed_full",
    code: str | None = None,
    event_time_ms: int = START_MS + 3_600_000,
) -> list[Out]:
    """Watch announces an object version."""
    event = ObjectAnnounced(
        space_id=SPACE, feed_id=feed, object=object_ or version(), event_time_ms=event_time_ms, code=code
    )
    return bench.event(event)


def opened(bench: Bench, object_: ObjectVersion | None = None, *, feed: str = "feed_full") -> str:
    """An import that is being read; its id."""
    (asked,) = requests(announce(bench, object_, feed=feed))
    return asked.import_id


def finish(
    bench: Bench, import_id: str, *, reading: str = READING, attempt: int = 1, audiences: tuple[str, ...] = ("aud_a",)
) -> list[Out]:
    """A reader has sent every row: 9 rows, 1 of them rejected."""
    return bench.event(
        ReadingFinished(
            space_id=SPACE,
            import_id=import_id,
            reading_id=reading,
            attempt=attempt,
            counts=RowCounts(rows=9, valid=8, rejected=1),
            audiences=list(audiences),
            rejected_by_code={"row-columns": 1},
            rejects="bucket/full/rejects/x.jsonl",
        )
    )


def fail(
    bench: Bench, import_id: str, *, code: str = "object-unreadable", attempt: int = 1, retryable: bool = True
) -> list[Out]:
    """An attempt has failed."""
    return bench.event(
        ReadingFailed(
            space_id=SPACE, import_id=import_id, attempt=attempt, code=code, detail="said so", retryable=retryable
        )
    )


def staged(import_id: str, partition: int, *, reading: str = READING, rows: int = 3, distinct: int = 2) -> Staged:
    """A partition holds the reading whole."""
    return Staged(
        space_id=SPACE,
        partition=partition,
        partitions=PARTITIONS,
        import_id=import_id,
        reading_id=reading,
        rows=rows,
        distinct=distinct,
    )


def broken(import_id: str, *, reading: str = READING) -> ReadingBroken:
    """A partition can't have the reading whole."""
    return ReadingBroken(
        space_id=SPACE, partition=1, partitions=PARTITIONS, import_id=import_id, reading_id=reading, detail="a gap"
    )


def weighed(import_id: str, partition: int, removals: dict[str, tuple[int, int]]) -> Weighed:
    """How many members of how many the import would remove on a partition."""
    return Weighed(
        space_id=SPACE,
        partition=partition,
        partitions=PARTITIONS,
        import_id=import_id,
        step=1,
        removals={name: Removal(removes=removes, size=size) for name, (removes, size) in removals.items()},
    )


def applied(
    import_id: str,
    partition: int,
    *,
    step: int = 1,
    entered: int = 2,
    exited: int = 1,
    superseded: tuple[str, ...] = (),
    refused: int = 0,
    expired: bool = False,
) -> Applied:
    """The import has taken effect on a partition."""
    return Applied(
        space_id=SPACE,
        partition=partition,
        partitions=PARTITIONS,
        import_id=import_id,
        step=step,
        entered=entered,
        exited=exited,
        superseded=list(superseded),
        refused=refused,
        expired=expired,
    )


def carry_through(bench: Bench, import_id: str, *, audiences: tuple[str, ...] = ("aud_a",)) -> list[Out]:
    """Read, staged and applied, all at once."""
    outs = finish(bench, import_id, audiences=audiences)
    outs += bench.result(*(staged(import_id, n) for n in range(PARTITIONS)))
    return outs + bench.result(*(applied(import_id, n) for n in range(PARTITIONS)))

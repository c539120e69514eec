"""Records to aiokafka: packing into batches. Pure.

Batches are packed here because aiokafka's `send` costs seven times as much a record as a whole batch does.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from contracts import codes
from contracts.records import Out, TopicPartition
from services.runtime.failures import Rejected

# A batch's head is 61 bytes; a record's own lengths and deltas are at most 36, a header's at most 10.
_BATCH_BYTES: Final = 61
_RECORD_BYTES: Final = 36
_HEADER_BYTES: Final = 10

BATCH_BYTES_MAX: Final = 900 * 1024  # below the usual limit of a topic, 1 MiB
WAVE_BYTES_MAX: Final = 32 << 20  # below the brokers' limit of a request, 100 MiB


@dataclass(slots=True)
class Batch:
    """Consecutive records of one partition, small enough to be sent as one batch."""

    partition: TopicPartition
    outs: list[Out]
    bytes: int


def size_bytes(out: Out) -> int:
    """At most what the record takes as a batch of its own."""
    size = _BATCH_BYTES + _RECORD_BYTES + len(out.key or b"") + len(out.value or b"")
    for name, value in out.headers:
        size += _HEADER_BYTES + len(name if name.isascii() else name.encode()) + len(value)
    return size


def packed(
    outs: Iterable[Out], limits: Mapping[str, int], place: Callable[[Out], int]
) -> dict[TopicPartition, list[Batch]]:
    """Each partition's records, in order, as batches of at most `BATCH_BYTES_MAX` or one record.

    `limits` is what each topic takes; raises `Rejected` for the first record that its topic would not take.
    """
    found: dict[TopicPartition, list[Batch]] = {}
    latest: dict[tuple[str, int], Batch] = {}
    before, size, limit = None, 0, 0
    for out in outs:
        if before is None or not out.copies(before):
            size, limit = size_bytes(out), limits[out.topic]
            if size > limit:
                raise Rejected(codes.MESSAGE_TOO_LARGE, f"{size} bytes for {out.topic}, which takes {limit}")
        before = out
        at = out.topic, place(out)
        batch = latest.get(at)
        if batch is not None and batch.bytes + size - _BATCH_BYTES <= min(BATCH_BYTES_MAX, limit):
            batch.outs.append(out)
            batch.bytes += size - _BATCH_BYTES
        else:
            batch = latest[at] = Batch(TopicPartition(*at), [out], size)
            found.setdefault(batch.partition, []).append(batch)
    return found


def alike(batches: Iterable[Batch]) -> list[list[Batch]]:
    """The batches in their order, but those that hold copies of the same records together: as a step for everybody."""
    found: list[list[Batch]] = []
    latest: dict[str, list[Batch]] = {}
    for batch in batches:
        group = latest.get(batch.partition.topic)
        if group is None or not _are_copies(batch.outs, group[0].outs):
            group = latest[batch.partition.topic] = []
            found.append(group)
        group.append(batch)
    return found


def _are_copies(outs: Sequence[Out], others: Sequence[Out]) -> bool:
    return len(outs) == len(others) and all(map(Out.copies, outs, others))


def waves(batches: Mapping[TopicPartition, Sequence[Batch]]) -> Iterator[list[Batch]]:
    """Batches that may be sent at once: one a partition, in its order, and together at most `WAVE_BYTES_MAX`.

    aiokafka puts what it holds for one broker into one request, however large.
    """
    left = [iter(one) for one in batches.values()]
    while left:
        wave: list[Batch] = []
        size = 0
        going_on = []
        for one in left:
            batch = next(one, None)
            if batch is None:
                continue
            going_on.append(one)
            if wave and size + batch.bytes > WAVE_BYTES_MAX:
                yield wave
                wave, size = [], 0
            wave.append(batch)
            size += batch.bytes
        if wave:
            yield wave
        left = going_on

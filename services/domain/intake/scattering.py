"""Row batches by partition, kept until there is enough for a record. Called by `Reading`, one for each object.

A record costs the broker and its readers about the same whatever it holds, so records are as large as a topic takes,
however many partitions an object is scattered to.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from services.domain.rows import Form, RowBatch, Spans, scatter

WIRE_BYTES_MAX: Final = 900_000  # headers, Arrow's own and the broker's overhead fit beside it in 1 MiB
KEPT_BYTES_MAX: Final = 32 << 20
_ROWS_SHARE: Final = 0.95  # of a record; the rest is for the ids of the audiences
_OWN_BYTES: Final = 2_000  # Arrow's
_AUDIENCE_BYTES: Final = 4  # of a row
_OFFSET_BYTES: Final = 8  # of a text


@dataclass(slots=True)
class _Kept:
    parts: list[RowBatch] = field(default_factory=list)
    bytes: int = 0


class Scattering:
    """The rows of one object on their way to `partitions`."""

    def __init__(
        self, partitions: int, *, wire_bytes_max: int = WIRE_BYTES_MAX, kept_bytes_max: int = KEPT_BYTES_MAX
    ) -> None:
        self._partitions = partitions
        self._wire_bytes_max = wire_bytes_max
        self._rows_bytes = int(wire_bytes_max * _ROWS_SHARE)
        self._kept_bytes_max = kept_bytes_max
        self._kept_bytes = 0
        self._kept: dict[tuple[int, Form], _Kept] = {}

    def add(self, batch: RowBatch) -> Iterator[tuple[int, RowBatch]]:
        """Takes the rows, and gives what is enough for a record by now.

        All batches of one object count their audiences by the same list, which may grow. Each batch that comes out
        lists only those that its rows name, and is no larger on the wire than a record may be.
        """
        for partition, part in enumerate(scatter(batch, self._partitions)):
            if part is None:
                continue
            kept = self._kept.setdefault((partition, part.identities.form), _Kept())
            size_bytes = _rows_bytes(part)
            kept.parts.append(part)
            kept.bytes += size_bytes
            self._kept_bytes += size_bytes
            while kept.bytes >= self._rows_bytes:
                yield from self._taken(partition, kept, self._rows_bytes)
        if self._kept_bytes > self._kept_bytes_max:
            yield from self.finish()

    def finish(self) -> Iterator[tuple[int, RowBatch]]:
        """The rest."""
        for (partition, _), kept in self._kept.items():
            if kept.parts:
                yield from self._taken(partition, kept, kept.bytes)

    def _taken(self, partition: int, kept: _Kept, up_to_bytes: int) -> Iterator[tuple[int, RowBatch]]:
        """The first rows that take up so many bytes, at least one."""
        whole = RowBatch.concat(kept.parts)
        count = max(1, _rows_within(whole, up_to_bytes))
        rest = whole.part(count, len(whole))
        kept.parts = [rest] if len(rest) else []
        self._kept_bytes -= kept.bytes
        kept.bytes = _rows_bytes(rest)
        self._kept_bytes += kept.bytes
        for piece in _pieces(whole.part(0, count), self._wire_bytes_max):
            yield partition, piece


def _pieces(batch: RowBatch, wire_bytes_max: int) -> Iterator[RowBatch]:
    """Halves and halves of halves, where the ids of many audiences take more room than was left for them."""
    compact = _compact(batch)
    if len(compact) == 1 or _wire_bytes(compact) <= wire_bytes_max:
        yield compact
        return
    half = len(batch) // 2
    yield from _pieces(batch.part(0, half), wire_bytes_max)
    yield from _pieces(batch.part(half, len(batch)), wire_bytes_max)


def _compact(batch: RowBatch) -> RowBatch:
    used = np.bincount(batch.audience, minlength=len(batch.audiences)) > 0
    if used.all():
        return RowBatch(batch.identities, batch.audience, list(batch.audiences))
    place = (np.cumsum(used) - 1).astype(np.uint32)
    ids = [batch.audiences[at] for at in np.flatnonzero(used).tolist()]
    return RowBatch(batch.identities, place[batch.audience], ids)


def _rows_within(batch: RowBatch, size_bytes: int) -> int:
    """How many of the first rows take at most so many bytes."""
    identities = batch.identities
    if identities.form is not Form.TEXT:
        return min(len(batch), size_bytes // (identities.form.width_bytes + _AUDIENCE_BYTES))
    ends = np.cumsum(Spans.of(identities.text).lengths + (_OFFSET_BYTES + _AUDIENCE_BYTES))
    return int(np.searchsorted(ends, size_bytes, side="right"))


def _rows_bytes(batch: RowBatch) -> int:
    """What the rows take on the wire."""
    identities = batch.identities
    if identities.form is not Form.TEXT:
        return len(batch) * (identities.form.width_bytes + _AUDIENCE_BYTES)
    lengths = Spans.of(identities.text).lengths
    return int(lengths.sum()) + len(batch) * (_OFFSET_BYTES + _AUDIENCE_BYTES)


def _wire_bytes(batch: RowBatch) -> int:
    """About the size of `encode_rows`, without making it."""
    return _rows_bytes(batch) + len(json.dumps(batch.audiences)) + _OWN_BYTES

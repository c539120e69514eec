"""A batch of events of a topic feed, and its wire form: that of rows with two more columns.

`adds` (bool) says whether the event adds or removes; `offset` (int64) is its place in its source partition. Written by
intake for each partition of membership, read there.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from contracts.messages.steps import StreamRowsHeader
from services.domain.rows.batch import RowBatch, decode_columns, encode_columns

Offsets = npt.NDArray[np.int64]
_COLUMNS: Final = {"adds": pa.bool_(), "offset": pa.int64()}


@dataclass(frozen=True, slots=True, eq=False)
class EventBatch:
    """Event i, at `offsets[i]` (rising), adds or removes the identity of row i to or from its audience."""

    rows: RowBatch
    adds: npt.NDArray[np.bool_]
    offsets: Offsets

    def __post_init__(self) -> None:
        assert len(self.rows) == len(self.adds) == len(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets)

    def take(self, at: npt.NDArray[np.integer[Any]]) -> "EventBatch":
        """The events at these positions, rising."""
        rows = RowBatch(self.rows.identities.take(at), self.rows.audience[at], self.rows.audiences)
        return EventBatch(rows, self.adds[at], self.offsets[at])

    def since(self, offset: int) -> "EventBatch":
        """Those at or after `offset`."""
        first = int(np.searchsorted(self.offsets, offset))
        return self if first == 0 else self.take(np.arange(first, len(self)))


def scatter_events(batch: EventBatch, partitions: int) -> Iterator[tuple[int, EventBatch]]:
    """The events of each partition of `partitions` that has any; each part lists only the audiences that it names."""
    homes = batch.rows.identities.partitions(partitions)
    for home in np.unique(homes).tolist():
        yield home, _with_own_audiences(batch.take(np.flatnonzero(homes == home)))


def encode_events(batch: EventBatch) -> bytes:
    """The wire form."""
    return encode_columns(batch.rows, {"adds": pa.array(batch.adds), "offset": pa.array(batch.offsets)})


def decode_events(wire: bytes, header: StreamRowsHeader) -> EventBatch:
    """The batch of a wire form; raises ValueError where it is malformed in any way, or not what the header says."""
    rows, columns = decode_columns(wire, _COLUMNS)
    offsets = columns["offset"].to_numpy(zero_copy_only=True)
    if offsets[:1].tolist() != [header.first_offset] or offsets[-1:].tolist() != [header.last_offset]:
        raise ValueError("other offsets than the headers say")
    if (np.diff(offsets) <= 0).any():
        raise ValueError("offsets do not rise")
    return EventBatch(rows, columns["adds"].to_numpy(zero_copy_only=False), offsets)


def _with_own_audiences(batch: EventBatch) -> EventBatch:
    rows = batch.rows
    named, index = np.unique(rows.audience, return_inverse=True)
    if len(named) == len(rows.audiences):
        return batch
    own = RowBatch(rows.identities, index.astype(np.uint32), [rows.audiences[at] for at in named.tolist()])
    return EventBatch(own, batch.adds, batch.offsets)

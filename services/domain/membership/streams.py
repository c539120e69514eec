"""Events of topic feeds on one partition: which were taken already, and what the others do to each audience.

A watermark stands for each feed, source partition and form of identity. An identity's form follows from its value, and
so does its home: whatever way intake cuts a source into batches, and however often it sends them, the events of one
watermark come in the order of their offsets, and those below it were taken.
"""

from collections.abc import Iterator
from typing import NamedTuple, Self

import numpy as np
from pyroaring import BitMap

from contracts.messages.steps import StreamRowsHeader
from services.domain.membership.checkpoint.shape import StreamsSaved
from services.domain.membership.identities.bitmaps import bitmap_of_sorted
from services.domain.membership.identities.table import Ordinals
from services.domain.rows import EventBatch

Place = tuple[str, str, int, str]
"""Feed, topic, source partition, form."""


class Streams:
    """The next offset to take, by place. What was taken of a feed that is gone stays known."""

    def __init__(self) -> None:
        self._next: dict[Place, int] = {}

    def saved(self) -> StreamsSaved:
        return StreamsSaved([(*place, offset) for place, offset in sorted(self._next.items())])

    @classmethod
    def restored(cls, saved: StreamsSaved) -> Self:
        streams = cls()
        streams._next = {(feed, topic, partition, form): offset for feed, topic, partition, form, offset in saved.next}
        return streams

    def fresh(self, header: StreamRowsHeader, batch: EventBatch) -> EventBatch | None:
        """The events that were not taken yet; from here on they are."""
        place = (header.feed_id, header.topic, header.partition, batch.rows.identities.form.value)
        after = self._next.get(place, 0)
        if header.last_offset < after:
            return None  # all of it
        self._next[place] = header.last_offset + 1
        return batch.since(after)


class Patched(NamedTuple):
    """What a batch does to one audience: first `removed` leave every layer, then `added` are added."""

    audience_id: str
    removed: BitMap
    added: BitMap


def patches(batch: EventBatch, ordinals: Ordinals) -> Iterator[Patched]:
    """Of each audience that the batch names; `ordinals` are those of its identities.

    The latest event of an identity decides whether it is added. That it was removed in between is not the same as
    nothing: it has then left the layers of files too.
    """
    keys = (batch.rows.audience.astype(np.uint64) << np.uint64(32)) | ordinals
    order = np.argsort(keys, kind="stable")
    keys, adds = keys[order], batch.adds[order]
    starts = np.flatnonzero(np.concatenate(([True], keys[1:] != keys[:-1])))
    lasts = np.append(starts[1:], len(keys)) - 1
    removed, added = ~np.logical_and.reduceat(adds, starts), adds[lasts]
    keys = keys[starts]
    audiences = (keys >> np.uint64(32)).astype(np.int64)
    members = keys.astype(np.uint32)
    cuts = np.flatnonzero(np.diff(audiences)) + 1
    for first, last in zip([0, *cuts.tolist()], [*cuts.tolist(), len(keys)], strict=True):
        part = slice(first, last)
        yield Patched(
            batch.rows.audiences[int(audiences[first])],
            bitmap_of_sorted(members[part][removed[part]]),
            bitmap_of_sorted(members[part][added[part]]),
        )

"""Takes a copy of a partition between two folds, and cuts it into blobs whenever that suits."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

import msgspec

from services.domain.membership.checkpoint.manifest import Blob, checksum_of
from services.domain.membership.checkpoint.packing import Packing, Section, Sink
from services.domain.membership.checkpoint.shape import MembershipPartitionSaved
from services.domain.membership.partition import MembershipPartition

BLOB_BYTES: Final = 8 << 20  # a few are under way at once: enough for a store's throughput, little enough to hold


class Index(msgspec.Struct, frozen=True):
    """The first blob: the state, whose sets and arrays are numbers of sections, and the sections."""

    sections: list[Section]
    state: MembershipPartitionSaved


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """The state at one offset, together with what its sink was given. Folding on does not change it.

    `sets_bytes` is what its different sets take, here and much the same in memory.
    """

    index: bytes
    views: list[Iterable[memoryview]]
    sets_bytes: int

    def blobs(self, sunk: Iterable[bytes]) -> Iterator[tuple[Blob, bytes]]:
        """All blobs, the index first; `sunk` is what the sink was given, in any pieces."""
        yield _blob("index.json", self.index)
        for number, body in enumerate(_cut(chain(map(memoryview, sunk), *self.views))):
            yield _blob(f"data-{number:05d}", body)


def take(partition: MembershipPartition, sink: Sink) -> Copy:
    """Copies the state: what may change goes to `sink` now, the rest is looked at later."""
    packing = Packing(sink)
    state = partition.saved(packing)
    index = msgspec.json.encode(Index(packing.sections, state))
    return Copy(index, packing.views(), packing.sets_bytes())


def _blob(name: str, body: bytes) -> tuple[Blob, bytes]:
    return Blob(name, len(body), checksum_of(body)), body


def _cut(run: Iterable[memoryview]) -> Iterator[bytes]:
    """The run in pieces of `BLOB_BYTES`; only one piece is held at a time."""
    held: list[memoryview] = []
    size = 0
    for piece in run:
        rest = piece
        while rest:
            part = rest[: BLOB_BYTES - size]
            held.append(part)
            size += len(part)
            rest = rest[len(part) :]
            if size == BLOB_BYTES:
                yield b"".join(held)  # the only copy that is made of it
                held, size = [], 0
    if held:
        yield b"".join(held)

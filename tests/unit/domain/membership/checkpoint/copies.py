"""Copies of partitions and partitions from them, all in memory."""

from typing import Any

import numpy.typing as npt
from pyroaring import BitMap

from services.domain.membership.checkpoint.load import Loading
from services.domain.membership.checkpoint.manifest import Blob
from services.domain.membership.checkpoint.packing import AsOf, Filling, Packing
from services.domain.membership.checkpoint.take import Copy, take
from services.domain.membership.partition import MembershipPartition

Blobs = list[tuple[Blob, bytes]]


class Taken:
    """A copy whose bytes can be had at any time."""

    def __init__(self, partition: MembershipPartition) -> None:
        self._sunk: list[bytes] = []
        self._copy: Copy = take(partition, lambda piece: self._sunk.append(bytes(piece)))

    def blobs(self) -> Blobs:
        return list(self._copy.blobs(self._sunk))


def load(blobs: Blobs, into: MembershipPartition) -> MembershipPartition:
    (index, body), *others = blobs
    loading = Loading(index, body)
    for blob, other in others:
        loading.feed(blob, other)
    loading.into(into)
    return into


class Contents(Packing):
    """Numbers sets and arrays by what they hold: two states are equal if they are saved to equal words by one of these.

    Their bytes need not be: a set may be held, and serialised, in several ways.
    """

    def __init__(self) -> None:
        super().__init__(lambda _: None)
        self._numbers: dict[Any, int] = {}

    def bitmap(self, bitmap: BitMap) -> int:
        return self._numbers.setdefault(tuple(bitmap), len(self._numbers))

    def lasting(self, array: npt.NDArray[Any]) -> int:
        return self._numbers.setdefault((str(array.dtype), array.tobytes()), len(self._numbers))

    def filling(self, array: Filling, as_of: AsOf) -> int:
        return self.lasting(as_of(array))

"""Makes a partition from the blobs of a checkpoint, as they come."""

from typing import Final

import msgspec

from services.domain.membership.checkpoint.manifest import Blob, checksum_of
from services.domain.membership.checkpoint.packing import Damaged, Unpacking
from services.domain.membership.checkpoint.take import Index
from services.domain.membership.partition import MembershipPartition

_decode_index: Final = msgspec.json.Decoder(Index).decode


class Loading:
    """Takes the index, then the other blobs in order; holds no more of them than one."""

    def __init__(self, blob: Blob, body: bytes) -> None:
        _check(blob, body)
        try:
            self._index = _decode_index(body)
        except msgspec.MsgspecError as error:
            raise Damaged(f"{blob.name} can't be read: {error}") from None
        self._unpacking = Unpacking(self._index.sections)

    def feed(self, blob: Blob, body: bytes) -> None:
        """The next blob. Raises `Damaged` where it isn't the one that was written."""
        _check(blob, body)
        self._unpacking.feed(body)

    def into(self, fresh: MembershipPartition) -> None:
        """When all have come: makes a fresh partition what the saved one was. Raises `Damaged` where one lacks."""
        fresh.restore(self._index.state, self._unpacking.finished())


def _check(blob: Blob, body: bytes) -> None:
    if (len(body), checksum_of(body)) != (blob.size_bytes, blob.checksum):
        raise Damaged(f"{blob.name} is not the blob that was written: {len(body)} of {blob.size_bytes} bytes")

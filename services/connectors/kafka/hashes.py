"""Where Kafka's default partitioner puts keys: its murmur2 as `contracts.partitioning` has it, of many at once."""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from services.domain.membership.identities.compiled import BYTE, INDEX, compiled, read, written

_M: Final = np.uint32(0x5BD1E995)
_SEED: Final = np.uint32(0x9747B28C)


def hashes(keys: Sequence[bytes]) -> NDArray[np.int64]:
    """The hash of each key without its sign: modulo the partitions it is the partition."""
    lengths = np.fromiter(map(len, keys), np.int64, len(keys))
    found = np.empty(len(keys), np.int64)
    _hash(np.frombuffer(b"".join(keys), np.uint8), lengths, found)
    return found


@compiled((read(BYTE), written(INDEX), written(INDEX)))
def _hash(text: Any, lengths: Any, found: Any) -> None:
    start = 0
    for n in range(len(lengths)):
        length = lengths[n]
        h = _SEED ^ np.uint32(length)
        at = start
        for _ in range(length // 4):
            k = np.uint32(text[at]) | np.uint32(text[at + 1]) << np.uint32(8)
            k |= np.uint32(text[at + 2]) << np.uint32(16) | np.uint32(text[at + 3]) << np.uint32(24)
            k = np.uint32(k * _M)
            k = np.uint32(np.uint32(k ^ (k >> np.uint32(24))) * _M)
            h = np.uint32(h * _M) ^ k
            at += 4
        rest = length % 4
        if rest > 0:
            tail = np.uint32(text[at])
            if rest > 1:
                tail |= np.uint32(text[at + 1]) << np.uint32(8)
            if rest > 2:
                tail |= np.uint32(text[at + 2]) << np.uint32(16)
            h = np.uint32(np.uint32(h ^ tail) * _M)
        h = np.uint32(np.uint32(h ^ (h >> np.uint32(13))) * _M)
        h ^= h >> np.uint32(15)
        found[n] = np.int64(h & np.uint32(0x7FFFFFFF))
        start += length

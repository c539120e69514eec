"""The partition of a member: a published function, so that a consumer can find a member's changes by itself.

Test vectors stand in `contracts/examples/partitioning.json`. The function looks at the canonical value only: the
same value in two spaces or of two id types has one home.
"""

import re
from functools import lru_cache
from typing import Final

import xxhash

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_HEX = re.compile(r"[0-9a-f]+")
_HEX_DIGITS: Final = frozenset({32, 40, 64})

GOLDEN: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


def member_key(value: str) -> bytes:
    """The 16-byte key of a canonical identifier.

    A UUID is its own 16 bytes; lower-case hex of 32, 40 or 64 digits is the first 16 bytes that it spells; anything
    else is the big-endian digest of 128-bit XXH3 of its UTF-8 bytes.
    """
    if len(value) == 36 and _UUID.fullmatch(value):
        return bytes.fromhex(value.replace("-", ""))
    if len(value) in _HEX_DIGITS and _HEX.fullmatch(value):
        return bytes.fromhex(value[:32])
    return xxhash.xxh3_128_digest(value.encode())


def member_partition(value: str, partitions: int) -> int:
    """The partition, 0 to `partitions` - 1, of a canonical identifier."""
    return key_partition(member_key(value), partitions)


def key_partition(key: bytes, partitions: int) -> int:
    """The partition of a 16-byte key: both halves mixed, the top 32 bits scaled to `partitions`.

    The mix differs from the one that chooses the slot of a hash table, so that a partition's keys fill its tables
    evenly.
    """
    low = int.from_bytes(key[:8], "little")
    high = int.from_bytes(key[8:16], "little")
    mixed = ((low ^ (high * GOLDEN & _MASK)) * 0xFF51AFD7ED558CCD) & _MASK
    mixed ^= mixed >> 33
    mixed = mixed * 0xC4CEB9FE1A85EC53 & _MASK
    return ((mixed >> 32) * partitions) >> 32


@lru_cache(maxsize=1024)  # all that is written of one command is of one space
def space_partition(space_id: str, partitions: int) -> int:
    """The partition of a space's commands and of everything keyed by space: Kafka's own murmur2 of the key."""
    return default_partition(space_id.encode(), partitions)


def default_partition(key: bytes, partitions: int) -> int:
    """The partition that Kafka's default partitioner chooses for a record with this key."""
    return (_murmur2(key) & 0x7FFFFFFF) % partitions


def _murmur2(data: bytes) -> int:
    """Kafka's default partitioner hash (32 bits); ours so that every client and the memory log agree."""
    m, length = 0x5BD1E995, len(data)
    h = (0x9747B28C ^ length) & 0xFFFFFFFF
    whole = length & ~3
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i : i + 4], "little") * m & 0xFFFFFFFF
        k = (k ^ k >> 24) * m & 0xFFFFFFFF
        h = (h * m & 0xFFFFFFFF) ^ k
    tail = data[whole:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & 0xFFFFFFFF
    h = (h ^ h >> 13) * m & 0xFFFFFFFF
    return h ^ h >> 15

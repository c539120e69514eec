"""What a record of the log is: shared by the pure core, which makes them, and the runtime, which moves them.

Topic names carry no prefix (see `contracts.catalog`).
"""

from dataclasses import dataclass
from typing import NamedTuple

from contracts.codec import Headers


class TopicPartition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record as read. `headers` keep their order and may repeat."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Out:
    """One record to write. `partition` None means Kafka's default partitioner over `key` (murmur2)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int | None = None

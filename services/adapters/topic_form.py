"""A `TopicSpec` as broker settings and back, shared by both logs so that they name a difference in the same words."""

from collections.abc import Mapping
from typing import Final

from contracts.catalog import TopicSpec

RETENTION: Final = "retention.ms"
MESSAGE_BYTES: Final = "max.message.bytes"
CLEANUP: Final = "cleanup.policy"
IN_SYNC: Final = "min.insync.replicas"

_REPLICAS_DURABLE: Final = 3  # with fewer, two in sync would mean that no broker may be away
_IN_SYNC_MIN: Final = 2  # we write with acks=all: what is acknowledged lies on two brokers

_COMPACTION: Final = {
    # Restores read a compacted topic whole, so it is kept short: clean as soon as a tenth is outdated, in small
    # segments (the active one is never cleaned).
    "min.cleanable.dirty.ratio": "0.1",
    "segment.ms": "3600000",
    "segment.bytes": "67108864",
}


def topic_settings(spec: TopicSpec, *, replicas: int = 1) -> dict[str, str]:
    """The broker's settings of a new topic."""
    compaction = _COMPACTION if spec.cleanup == "compact" else {}
    durable = {IN_SYNC: str(_IN_SYNC_MIN)} if replicas >= _REPLICAS_DURABLE else {}
    return _promised(spec) | compaction | durable


def topic_differences(spec: TopicSpec, partitions: int, settings: Mapping[str, str], *, replicas: int = 1) -> list[str]:
    """What differs from the spec, one sentence each. Compaction tuning is the operator's: not compared."""
    found = [] if partitions == spec.partitions else [f"partitions is {partitions}, not {spec.partitions}"]
    found += [
        f"{name} is {settings.get(name)}, not {expected}"
        for name, expected in _promised(spec).items()
        if settings.get(name) != expected
    ]
    if replicas >= _REPLICAS_DURABLE and int(settings.get(IN_SYNC, 1)) < _IN_SYNC_MIN:
        found.append(f"{IN_SYNC} is {settings.get(IN_SYNC, 1)}, less than {_IN_SYNC_MIN}")
    return found


def _promised(spec: TopicSpec) -> dict[str, str]:
    return {
        CLEANUP: spec.cleanup,
        RETENTION: str(spec.retention_ms),
        MESSAGE_BYTES: str(spec.max_message_bytes),
    }

"""A `TopicSpec` as broker settings and back, shared by both logs so that they name a difference in the same words."""

from collections.abc import Mapping
from typing import Final

from contracts.catalog import TopicSpec

RETENTION: Final = "retention.ms"
MESSAGE_BYTES: Final = "max.message.bytes"
CLEANUP: Final = "cleanup.policy"

_COMPACTION: Final = {
    # Restores read a compacted topic whole, so it is kept short: clean as soon as a tenth is outdated, in small
    # segments (the active one is never cleaned).
    "min.cleanable.dirty.ratio": "0.1",
    "segment.ms": "3600000",
    "segment.bytes": "67108864",
}


def topic_settings(spec: TopicSpec) -> dict[str, str]:
    """The broker's settings of a new topic."""
    compaction = _COMPACTION if spec.cleanup == "compact" else {}
    return _promised(spec) | compaction


def topic_differences(spec: TopicSpec, partitions: int, settings: Mapping[str, str]) -> list[str]:
    """What differs from the spec, one sentence each. Compaction tuning is the operator's: not compared."""
    found = [] if partitions == spec.partitions else [f"partitions is {partitions}, not {spec.partitions}"]
    return found + [
        f"{name} is {settings.get(name)}, not {expected}"
        for name, expected in _promised(spec).items()
        if settings.get(name) != expected
    ]


def _promised(spec: TopicSpec) -> dict[str, str]:
    return {
        CLEANUP: spec.cleanup,
        RETENTION: str(spec.retention_ms),
        MESSAGE_BYTES: str(spec.max_message_bytes),
    }

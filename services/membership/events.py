"""What membership tells of its checkpoints: typed events and metrics."""

from dataclasses import dataclass
from typing import Final

from services.runtime.telemetry import Event, Gauge, Histogram

KNOWN_MEMBERS: Final = Gauge(
    "usher_membership_known_members",
    "Identities that a partition knows, over spaces and id types",
    "partition",
)
IDENTITIES_BYTES: Final = Gauge(
    "usher_membership_identities_bytes",
    "Memory of the identities that a partition knows, values and slots",
    "partition",
)
SETS_BYTES: Final = Gauge(
    "usher_membership_sets_bytes",
    "Memory of the sets of a partition (members, layers, what is staged), as of its newest copy for a checkpoint",
    "partition",
)
STAGE_SECONDS: Final = Histogram(
    "usher_membership_stage_seconds",
    "A batch by stage of the fold: stage (rows interned and staged), apply (steps and events), encode (what changed)",
    "stage",
)
TAKE_SECONDS: Final = Histogram("usher_checkpoint_take_seconds", "How long folding waited for a copy of the state")
WRITE_SECONDS: Final = Histogram("usher_checkpoint_write_seconds", "From the copy to the manifest in object storage")
WRITTEN_AT_SECONDS: Final = Gauge(
    "usher_checkpoint_written_at_seconds",
    "When the newest was taken, since 1970: its age is the time since",
    "partition",
)
WRITTEN_BYTES: Final = Gauge("usher_checkpoint_bytes", "Size of the newest, by partition", "partition")


@dataclass(frozen=True)
class CheckpointWritten(Event, counter="usher_checkpoints_written_total"):
    """The state of a partition at an offset is complete in object storage."""

    partition: int
    offset: int
    size_bytes: int
    seconds: float


@dataclass(frozen=True)
class CheckpointFailed(Event, counter="usher_checkpoints_failed_total", level="warning"):
    """A checkpoint could not be written; tried again at the next occasion, folding goes on."""

    partition: int
    offset: int
    detail: str


@dataclass(frozen=True)
class CheckpointTidyingFailed(Event, counter="usher_checkpoint_tidyings_failed_total", level="warning"):
    """A checkpoint is written, but what it makes superfluous could not be removed; tried again after the next."""

    partition: int
    detail: str


@dataclass(frozen=True)
class CheckpointUnusable(Event, counter="usher_checkpoints_unusable_total", level="error"):
    """A checkpoint is missing parts or was damaged: the one before it is used. Find out what touches the bucket."""

    partition: int
    offset: int
    detail: str


@dataclass(frozen=True)
class CheckpointRestored(Event, counter="usher_checkpoints_restored_total"):
    """The state of a partition was loaded; what was committed after it is replayed from the log."""

    partition: int
    offset: int
    committed: int
    seconds: float


@dataclass(frozen=True)
class InputTrimmed(Event, counter="usher_inputs_trimmed_total"):
    """The log before the oldest checkpoint kept was given up."""

    partition: int
    before_offset: int

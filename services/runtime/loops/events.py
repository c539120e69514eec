"""What the two loops tell: typed events and metrics of shards, transactions and deliveries."""

from dataclasses import dataclass
from typing import Final

from services.runtime.telemetry import Counter, Event, Gauge, Histogram

FOLD_SECONDS: Final = Histogram("usher_fold_seconds", "One batch from poll to commit, by group", "group")
FOLD_STAGE_SECONDS: Final = Histogram(
    "usher_fold_stage_seconds",
    "The same batch by stage: fold, send, commit (short output, that goes with others: all of it is commit)",
    "group",
    "stage",
)
FOLD_LAG_SECONDS: Final = Gauge(
    "usher_fold_lag_seconds",
    "Age of the newest record committed, 0 with nothing left, by shard",
    "group",
    "shard",
)
FOLD_LAG_RECORDS: Final = Gauge(
    "usher_fold_lag_records", "Records after the last one committed, over all topics, by shard", "group", "shard"
)
FOLD_RECORDS: Final = Counter("usher_fold_records_total", "Records folded and committed, by group", "group")
FOLD_OUTS: Final = Counter("usher_fold_outs_total", "Records written in committed transactions, by group", "group")
FOLD_SHARDS: Final = Gauge("usher_fold_shards_partitions", "Shards restored and folding here, by group", "group")
DELIVER_SECONDS: Final = Histogram("usher_deliver_seconds", "One handled batch, retries included, by group", "group")
DELIVER_LAG_SECONDS: Final = Gauge(
    "usher_deliver_lag_seconds",
    "Age of the oldest record being handled, else of the newest committed; 0 with nothing left to read, by partition",
    "group",
    "topic",
    "partition",
)
DELIVER_LAG_RECORDS: Final = Gauge(
    "usher_deliver_lag_records",
    "Records after the last one committed, by partition",
    "group",
    "topic",
    "partition",
)
DELIVER_RECORDS: Final = Counter("usher_deliver_records_total", "Records handled and committed, by group", "group")
DELIVER_LANES: Final = Gauge("usher_deliver_lanes_partitions", "Partitions with a running task here, by group", "group")


@dataclass(frozen=True)
class ShardRestored(Event, counter="usher_shards_restored_total", labels=("group",)):
    """A shard has its state at its committed offsets and folds on."""

    group: str
    shard: int
    seconds: float


@dataclass(frozen=True)
class ShardRetried(Event, counter="usher_shards_retried_total", labels=("group",), level="warning"):
    """The broker or the object store did not answer: producer and state of the shard are thrown away and made anew."""

    group: str
    shard: int
    detail: str
    delay_seconds: float


@dataclass(frozen=True)
class PollFailed(Event, counter="usher_polls_failed_total", labels=("group",), level="warning"):
    """Nothing could be read just now; tried again from the same offsets, the state is kept."""

    group: str
    shard: int
    detail: str
    delay_seconds: float


@dataclass(frozen=True)
class ShardFenced(Event, counter="usher_shards_fenced_total", labels=("group",), level="warning"):
    """The shard has a newer owner, or its transaction outlived its timeout: the state is dropped."""

    group: str
    shard: int
    detail: str


@dataclass(frozen=True)
class ShardAbandoned(Event, counter="usher_shards_abandoned_total", labels=("group",), level="warning"):
    """A shard was revoked in the middle of a transaction, which was aborted; its next owner folds the records anew."""

    group: str
    shard: int


@dataclass(frozen=True)
class GroupLeft(Event, counter="usher_groups_left_total", labels=("group",)):
    """We left a group: asked to stop, to join it anew after a fence, or because of a failure."""

    group: str
    why: str


@dataclass(frozen=True)
class JoinFailed(Event, counter="usher_joins_failed_total", labels=("group",), level="warning"):
    """A group could not be joined or left; tried again by itself."""

    group: str
    detail: str


@dataclass(frozen=True)
class DeliveryRetried(Event, counter="usher_deliveries_retried_total", labels=("group",), level="warning"):
    """A partition's records could not be handled now; they are tried again, other partitions go on."""

    group: str
    topic: str
    partition: int
    detail: str
    delay_seconds: float


@dataclass(frozen=True)
class RecordsLost(
    Event, counter="usher_deliveries_lost_records_total", labels=("group",), amount="records", level="error"
):
    """Retention has passed where a group stands: what lay before is gone, and it goes on from what is left.

    The operator must give the topic a longer retention, or the service more time to read.
    """

    group: str
    topic: str
    partition: int
    offset: int
    records: int


@dataclass(frozen=True)
class DeliveryResumed(Event, counter="usher_deliveries_resumed_total", labels=("group",)):
    """A partition came back from a rebalance unchanged: what was being handled went on."""

    group: str
    topic: str
    partition: int


@dataclass(frozen=True)
class DeliveryRestarted(Event, counter="usher_deliveries_restarted_total", labels=("group",), level="warning"):
    """A partition came back from a rebalance at another offset: somebody else went on, we follow from there."""

    group: str
    topic: str
    partition: int

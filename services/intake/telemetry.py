"""What intake tells its operators: metrics and events. None carries a key, a body or an identifier."""

from dataclasses import dataclass
from typing import Final

from services.runtime.telemetry import Counter, Event, Gauge, Histogram

NOTIFICATIONS: Final = Counter(
    "usher_notifications_total",
    "Records of notifications by what became of them: announced, a reason to ignore, or the code of a dead letter",
    "outcome",
)
RECONCILED: Final = Counter(
    "usher_objects_reconciled_total",
    "Objects that no notification told of, found in a listing: announced, or the code why they can't be read",
    "outcome",
)
LAST_RECONCILED: Final = Gauge(
    "usher_reconciliation_ended_seconds", "When all prefixes that were due here had last been listed, since 1970"
)
ROWS: Final = Counter("usher_intake_rows_total", "Rows of finished readings: valid or the code of a reject", "outcome")
EVENTS: Final = Counter(
    "usher_intake_events_total", "Events of topic feeds: taken, or the code of a dead letter", "outcome"
)
READING_SECONDS: Final = Histogram("usher_reading_seconds", "One reading of one object, from request to its end")

READING_STAGE_SECONDS: Final = Histogram(
    "usher_reading_stage_seconds",
    "A finished reading by stage: download and send (waiting for them), inflate, parse, canonicalise, scatter",
    "stage",
)


@dataclass(frozen=True)
class NotificationsRefused(
    Event, counter="usher_notifications_refused_total", labels=("code",), amount="records", level="warning"
):
    """Records of a notification that can't be read, or that no feed waits for, went to dead letters."""

    source: str
    code: str
    records: int
    detail: str


@dataclass(frozen=True)
class QueueRetried(Event, counter="usher_notification_queues_retried_total", level="warning"):
    """Messages of a notification queue could not be handled now; they come again."""

    queue: str
    detail: str
    delay_seconds: float


@dataclass(frozen=True)
class ReadingEnded(Event, counter="usher_readings_finished_total"):
    """An object was read whole; its rows are on the input."""

    space_id: str
    import_id: str
    reading_id: str
    rows: int
    rejected: int
    seconds: float


@dataclass(frozen=True)
class ReadingGivenUp(Event, counter="usher_readings_failed_total", labels=("code",), level="warning"):
    """An attempt to read an object failed; control decides whether there is another."""

    space_id: str
    import_id: str
    attempt: int
    code: str
    detail: str


@dataclass(frozen=True)
class ObjectUncompressed(Event, counter="usher_objects_uncompressed_total", level="warning"):
    """A large object came uncompressed and was read all the same: whoever sends it should compress it."""

    space_id: str
    import_id: str
    size_bytes: int


@dataclass(frozen=True)
class RejectsNotWritten(Event, counter="usher_reject_files_not_written_total", level="error"):
    """A reject file could not be written: the import goes on, with its counts but without the rows' numbers.

    The operator must let usher write under the feed's prefix.
    """

    space_id: str
    import_id: str
    detail: str


@dataclass(frozen=True)
class RequestRefused(Event, counter="usher_read_requests_refused_total", level="error"):
    """A read request is of a form that this version does not know; it went to dead letters."""

    partition: int
    offset: int
    detail: str


@dataclass(frozen=True)
class StreamStarted(Event, counter="usher_streams_started_total"):
    """A feed's topic is being read."""

    space_id: str
    feed_id: str
    topic: str


@dataclass(frozen=True)
class StreamTopicMissing(Event, counter="usher_stream_topics_missing_total", level="warning"):
    """The topic of a feed does not exist; looked for again. Whoever made the feed must make the topic, or name another.

    Where it exists, usher must be let describe it.
    """

    space_id: str
    feed_id: str
    topic: str


@dataclass(frozen=True)
class StreamStalled(Event, counter="usher_streams_stalled_total", level="error"):
    """A feed's topic can't be read: tried again, but most likely somebody must act as the reason says.

    A topic that was deleted and made anew needs a new feed: events are told apart by their offsets.
    """

    space_id: str
    feed_id: str
    topic: str
    reason: str


@dataclass(frozen=True)
class EventsRefused(
    Event, counter="usher_stream_events_refused_total", labels=("code",), amount="records", level="warning"
):
    """Records of a feed's topic that are no events, or name nobody, went to dead letters."""

    space_id: str
    feed_id: str
    topic: str
    code: str
    records: int


@dataclass(frozen=True)
class Reconciled(Event, counter="usher_reconciliations_total"):
    """The prefixes that were due here were listed; what no notification had told of is announced."""

    listed: int
    announced: int
    seconds: float


@dataclass(frozen=True)
class PrefixNotListed(Event, counter="usher_reconciliation_prefixes_refused_total", labels=("code",), level="error"):
    """A prefix can't be listed: lost notifications of its feeds stay lost. The operator must let usher list the bucket.

    Whoever made the feed must make the bucket, or name another, where there is none.
    """

    bucket: str
    code: str
    detail: str


@dataclass(frozen=True)
class ReconciliationDelayed(Event, counter="usher_reconciliations_delayed_total", level="warning"):
    """Prefixes could not be listed now; they are, by itself, after the delay."""

    detail: str
    delay_seconds: float

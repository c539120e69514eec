"""What the lanes and the verifier tell: metrics and events. None carries an identifier, a body or a secret."""

from dataclasses import dataclass
from typing import Final

from services.runtime.telemetry import Counter, Event, Histogram

DELIVERY_REQUEST_SECONDS: Final = Histogram(
    "usher_delivery_request_seconds", "One request to a destination, by connector and fate", "connector", "fate"
)
DELIVERY_MEMBERS: Final = Counter(
    "usher_delivery_members_total", "Members by what became of them: delivered, merged, dead-lettered", "outcome"
)
DELIVERY_WAIT_SECONDS: Final = Histogram(
    "usher_delivery_wait_seconds", "How long a record had been in its queue when the last of it was settled"
)

DELIVERY_REPORTED: Final = Counter(
    "usher_delivery_reported_members_total",
    "Members of whom their destination has said later what became of them: done, failed",
    "outcome",
)


@dataclass(frozen=True)
class LaneTurned(Event, counter="usher_lanes_turned_total", labels=("state", "code")):
    """A lane's state changed; in any but `delivering` its backlog waits."""

    space_id: str
    destination_id: str
    queue: str
    partition: int
    state: str
    code: str
    detail: str


@dataclass(frozen=True)
class DeliveriesDeadLettered(
    Event, counter="usher_deliveries_dead_lettered_total", labels=("code",), amount="records", level="warning"
):
    """Records of a delivery queue went to dead letters: refused for good, without destination, or too old."""

    queue: str
    partition: int
    code: str
    records: int
    detail: str


@dataclass(frozen=True)
class OutcomesRetried(Event, counter="usher_delivery_outcomes_retried_total", level="warning"):
    """What was delivered could not be written down just now; tried again, without delivering again."""

    detail: str
    delay_seconds: float


@dataclass(frozen=True)
class DestinationVerified(Event, counter="usher_destinations_verified_total", labels=("code",)):
    """Somebody asked whether a destination can be reached and lets us in; without a code it does."""

    space_id: str
    destination_id: str
    code: str
    detail: str
    latency_ms: int


@dataclass(frozen=True)
class ListTaken(Event, counter="usher_lists_taken_total", labels=("how",)):
    """The list that a connection's deliveries go to from here on was `found` by its name, or `made`."""

    space_id: str
    connection_id: str
    external_audience_id: str
    how: str


@dataclass(frozen=True)
class ChangeRefused(Event, counter="usher_router_changes_refused_total", level="error"):
    """The router met a change that it can't read: destinations will lack it until a resync. Its bytes are kept."""

    partition: int
    offset: int
    detail: str

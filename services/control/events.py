"""What control tells its operators."""

from dataclasses import dataclass

from services.runtime.telemetry import Event


@dataclass(frozen=True)
class RecordRefused(Event, counter="usher_control_refused_total", labels=("topic", "code"), level="warning"):
    """A record could not be understood as a whole; it is kept in dead letters, its neighbours go on."""

    topic: str
    partition: int
    offset: int
    code: str
    detail: str

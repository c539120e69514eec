"""The catalogue of metrics and the typed events."""

from dataclasses import dataclass

import pytest
from prometheus_client import generate_latest
from structlog.testing import capture_logs

from services.runtime.telemetry import CATALOGUE, REGISTRY, Counter, Event, Gauge, Histogram


@dataclass(frozen=True)
class ThingsCounted(Event, counter="usher_test_things_total", labels=("kind",), amount="count", level="warning"):
    """Things were counted."""

    kind: str
    count: int
    detail: str


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_an_event_is_a_line_and_a_number_that_agree() -> None:
    before = value("usher_test_things_total", kind="round")
    with capture_logs() as lines:
        ThingsCounted(kind="round", count=3, detail="x" * 10_000).emit()
    assert value("usher_test_things_total", kind="round") == before + 3
    assert lines == [
        {"event": "things-counted", "log_level": "warning", "kind": "round", "count": 3, "detail": "x" * 500}
    ]
    assert CATALOGUE["usher_test_things_total"].help == "Things were counted."


@pytest.mark.parametrize("field", ["identifier", "members", "secret", "body"])
def test_an_event_cannot_carry_what_no_log_may_hold(field: str) -> None:
    with pytest.raises(AssertionError, match="no identifiers"):
        type("Leaky", (Event,), {"__annotations__": {field: str}}, counter="usher_test_leaky_total")


def test_a_name_is_declared_once_and_says_its_unit() -> None:
    Gauge("usher_test_height_bytes", "Height.")
    with pytest.raises(AssertionError, match="twice"):
        Gauge("usher_test_height_bytes", "Height.")
    for wrong in ("test_height_bytes", "usher_test_height", "usher_test_height_ms"):
        with pytest.raises(AssertionError):
            Gauge(wrong, "Height.")
    with pytest.raises(AssertionError, match="counters"):
        Counter("usher_test_height_seconds", "Height.")
    with pytest.raises(AssertionError, match="counters"):
        Histogram("usher_test_height_total", "Height.")
    with pytest.raises(AssertionError, match="identifiers"):
        Counter("usher_test_leaks_total", "Leaks.", "member")


def test_a_forgotten_child_is_shown_no_more() -> None:
    gauge = Gauge("usher_test_lag_records", "Lag.", "partition")
    gauge.set(5, partition="1")
    gauge.set(7, partition="2")
    gauge.forget("1")
    assert 'usher_test_lag_records{partition="2"} 7.0' in generate_latest(REGISTRY).decode()
    assert 'usher_test_lag_records{partition="1"}' not in generate_latest(REGISTRY).decode()

"""A stopwatch with a sum for each stage."""

from services.runtime.stages import Stages
from services.runtime.telemetry import REGISTRY, Histogram
from tests.unit.runtime.machine import HandClock

TEST_SECONDS = Histogram("usher_test_stage_seconds", "Of this test", "stage")


def shown(stage: str) -> tuple[float | None, float | None]:
    labels = {"stage": stage}
    name = "usher_test_stage_seconds"
    return REGISTRY.get_sample_value(f"{name}_sum", labels), REGISTRY.get_sample_value(f"{name}_count", labels)


def test_what_passes_belongs_to_the_stage_that_ends_next_or_to_none() -> None:
    clock = HandClock()
    stages = Stages(clock, "first", "second")
    for _ in range(2):
        clock.pass_seconds(1)
        stages.end("first")
        clock.pass_seconds(4)
        stages.resume()
        clock.pass_seconds(2)
        stages.end("second")
    assert stages.total_seconds() == 6
    stages.show(TEST_SECONDS)
    assert (shown("first"), shown("second")) == ((2, 1), (4, 1))
    stages.show(TEST_SECONDS)
    assert (shown("first"), shown("second")) == ((2, 2), (4, 2)), "the next batch starts from nothing"

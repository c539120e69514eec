"""How long the stages of a batch take, one after the other. Shown once a batch; called by loops and services."""

from services.runtime.clock import Clock
from services.runtime.telemetry import Histogram


class Stages:
    """A stopwatch with a sum for each of `names`, of which `end` and the labels of the histogram are to know."""

    def __init__(self, clock: Clock, *names: str) -> None:
        self._clock = clock
        self._last_seconds = clock.monotonic_seconds()
        self._seconds = dict.fromkeys(names, 0.0)

    def resume(self) -> None:
        """What has passed since the latest stage belongs to none."""
        self._last_seconds = self._clock.monotonic_seconds()

    def end(self, stage: str) -> None:
        """What has passed since the stage before belongs to this one."""
        now_seconds = self._clock.monotonic_seconds()
        self._seconds[stage] += now_seconds - self._last_seconds
        self._last_seconds = now_seconds

    def total_seconds(self) -> float:
        """Of all stages since they were shown."""
        return sum(self._seconds.values())

    def show(self, histogram: Histogram, **labels: str) -> None:
        """The batch is done: one observation of each stage by label `stage`; the next batch starts from nothing."""
        for stage, seconds in self._seconds.items():
            histogram.observe(seconds, stage=stage, **labels)
            self._seconds[stage] = 0.0

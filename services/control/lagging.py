"""How far each activation is behind, as metrics: `service` shows them of the state that is committed.

Owns which activations are shown. What lag is, and how it comes about, is `services.domain.control.counting`'s.
"""

from collections import defaultdict
from collections.abc import Iterable
from heapq import nlargest
from typing import Final

from contracts.messages.published import ActivationStatus
from services.runtime.clock import Clock
from services.runtime.telemetry import Gauge

SHOWN_MAX: Final = 500  # of a shard: a series costs whoever keeps it, and nobody looks at thousands
EVERY_SECONDS: Final = 5.0  # all activations are gone through, which a busy shard can't do after each commit

LAG_RECORDS: Final = Gauge(
    "usher_activation_lag_records",
    "Members that wait, of the activations of each shard that are furthest behind; absent: none of it waits",
    "space",
    "activation",
)
LAG_SECONDS: Final = Gauge(
    "usher_activation_lag_seconds",
    "How long what the activation finished last, or tries in vain, had been in its queue; absent: nothing waits",
    "space",
    "activation",
)

_Name = tuple[str, str]
"""Space id and activation id: the labels."""


class ActivationLags:
    """Of one worker. A series is there while its activation waits and is among the furthest behind of its shard."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._shown: defaultdict[int, set[_Name]] = defaultdict(set)
        self._due_seconds: dict[int, float] = {}

    def is_due(self, shard: int) -> bool:
        """Whether what is shown of the shard is old."""
        return self._clock.monotonic_seconds() >= self._due_seconds.get(shard, 0.0)

    def show(self, shard: int, waiting: Iterable[ActivationStatus]) -> None:
        """These are all that wait."""
        self._due_seconds[shard] = self._clock.monotonic_seconds() + EVERY_SECONDS
        furthest = {(one.space_id, one.activation_id): one for one in nlargest(SHOWN_MAX, waiting, key=_how_far)}
        for name in self._shown[shard] - furthest.keys():
            _forget(name)
        self._shown[shard] = set(furthest)
        for (space, activation), one in furthest.items():
            LAG_RECORDS.set(one.lag_records, space=space, activation=activation)
            if one.lag_seconds is not None:  # None: no lane has spoken yet
                LAG_SECONDS.set(one.lag_seconds, space=space, activation=activation)

    def forget(self, shard: int) -> None:
        """Another worker has the shard."""
        self._due_seconds.pop(shard, None)
        for name in self._shown.pop(shard, ()):
            _forget(name)


def _how_far(status: ActivationStatus) -> tuple[float, int]:
    return status.lag_seconds or 0.0, status.lag_records


def _forget(name: _Name) -> None:
    for gauge in (LAG_RECORDS, LAG_SECONDS):
        gauge.forget(*name)

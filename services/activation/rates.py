"""How often requests may go out: for each credential, and each destination that has none, in this worker.

Asked by lanes before each attempt. Whoever has the same secrets by the same references shares a bucket (decision 0034).
"""

from collections import Counter
from collections.abc import Callable, Hashable, Mapping

from contracts.messages.entities import Destination
from services.domain.delivery.spacing import Spacing

Credential = Callable[[str, Mapping[str, str]], Hashable | None]
"""What stands for the secrets that a space refers to; None where there are none."""


class Rates:
    """`queue_partitions` is how many lanes a destination has, here and elsewhere.

    A request takes its share of a second out of its bucket: at 4 a second, a quarter. So whoever is alone has its whole
    rate, and destinations that share a credential are together never faster than the fastest of them may be. Lanes of
    other workers have the rest: a worker with one of a destination's two lanes takes half of its rate.
    """

    def __init__(self, queue_partitions: int, credential: Credential) -> None:
        self._queue_partitions = queue_partitions
        self._credential = credential
        self._lanes: Counter[str] = Counter()
        self._buckets: dict[Hashable, Spacing] = {}

    def joined(self, queue: str) -> None:
        """A lane of the queue is here."""
        self._lanes[queue] += 1

    def left(self, queue: str) -> None:
        """It is elsewhere now."""
        self._lanes[queue] -= 1

    def reserve(self, to: Destination, per_second: float | None, now_seconds: float) -> float:
        """Takes the next place and says how long to wait for it."""
        if per_second is None:
            return 0.0
        credential = self._credential(to.space_id, to.secrets)
        key = (to.connector, credential) if credential is not None else (to.space_id, to.destination_id)
        share = max(1, self._lanes[to.queue]) / self._queue_partitions
        return self._buckets.setdefault(key, Spacing()).reserve(now_seconds, 1.0 / (per_second * share))

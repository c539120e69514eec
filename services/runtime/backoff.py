"""How long to wait before the next try: exponential with full jitter, the randomness given from outside.

Full jitter because many workers lose the same broker or destination in the same instant, and must not come back in one.
"""

import random as system_random
from collections.abc import Callable
from typing import Final

Random = Callable[[], float]
"""A number from 0 to below 1."""

SYSTEM_RANDOM: Final[Random] = system_random.random

RETRY_AFTER_SECONDS_MAX: Final = 3600.0  # the other side's wish is honoured, but a header must not stop us for days


class Backoff:
    """The delays of one row of failures; `reset` after a success starts the next row."""

    def __init__(self, *, base_seconds: float, cap_seconds: float, random: Random = SYSTEM_RANDOM) -> None:
        assert 0 < base_seconds <= cap_seconds
        self._base_seconds = base_seconds
        self._cap_seconds = cap_seconds
        self._random = random
        self.failures = 0

    def next_seconds(self, retry_after_seconds: float | None = None) -> float:
        """The delay after one more failure: 0 to the ceiling, but never before the other side's wish.

        The ceiling is `base_seconds` doubled with each failure, at most `cap_seconds`. The jitter comes on top of a
        wish, since whoever names an instant names it to many.
        """
        ceiling = min(self._cap_seconds, self._base_seconds * 2.0 ** min(self.failures, 60))
        self.failures += 1
        wished = min(max(retry_after_seconds or 0.0, 0.0), RETRY_AFTER_SECONDS_MAX)
        jitter = self._random() * (min(ceiling, wished * 0.1) if wished else ceiling)
        return wished + jitter

    def reset(self) -> None:
        self.failures = 0

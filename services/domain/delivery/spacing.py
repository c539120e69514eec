"""A rate limit as spacing: one request, then nothing for its share of a second. No bursts, so no window to overrun.

Used for the lanes with the clock's monotonic seconds.
"""


class Spacing:
    """One request after the other, each with a time of its own after it."""

    def __init__(self) -> None:
        self._free_at_seconds = 0.0

    def reserve(self, now_seconds: float, takes_seconds: float) -> float:
        """Takes the next place and says how long to wait for it."""
        assert takes_seconds > 0
        start = max(self._free_at_seconds, now_seconds)
        self._free_at_seconds = start + takes_seconds
        return start - now_seconds

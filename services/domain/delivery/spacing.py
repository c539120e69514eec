"""A rate limit as spacing: one request, then nothing for its share of a second. No bursts, so no window to overrun.

Used by the lanes with the clock's monotonic seconds.
"""


class Spacing:
    """At most `per_second` requests a second, None for as many as there are."""

    def __init__(self, per_second: float | None) -> None:
        assert per_second is None or per_second > 0
        self.per_second = per_second
        self._free_at_seconds = 0.0

    def reserve(self, now_seconds: float) -> float:
        """Takes the next place and says how long to wait for it."""
        if self.per_second is None:
            return 0.0
        start = max(self._free_at_seconds, now_seconds)
        self._free_at_seconds = start + 1.0 / self.per_second
        return start - now_seconds

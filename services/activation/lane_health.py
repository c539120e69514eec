"""How a lane fares with its destination: delivering, retrying, parked or disabled, and how long to wait in each.

Decides, and does nothing: the lane tells it what happened and when, and waits as it says (architecture.md §7).
"""

from dataclasses import dataclass

from services.domain.delivery.answers import Fate, Verdict
from services.runtime.backoff import RETRY_AFTER_SECONDS_MAX, Backoff, Random

DELIVERING = "delivering"
RETRYING = "retrying"
PARKED = "parked"
DISABLED = "disabled"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`budget_seconds` is how long a lane retries after its last success before it parks and only probes.

    It counts from the first failure after that success, so that a lane that had nothing to do for a day has it whole.
    """

    base_seconds: float = 1.0
    cap_seconds: float = 300.0
    budget_seconds: float = 4 * 3600.0
    probe_seconds: float = 300.0


class LaneHealth:
    """`state` is None until the first word of the destination: what was before us we don't know."""

    def __init__(self, policy: RetryPolicy, random: Random) -> None:
        self._policy = policy
        self._random = random
        self._backoff = Backoff(base_seconds=policy.base_seconds, cap_seconds=policy.cap_seconds, random=random)
        self._failing_since_seconds: float | None = None
        self._tried_fresh_secrets = False
        self.state: str | None = None
        self.trouble: Verdict | None = None

    def succeeded(self) -> None:
        """The destination has answered for good, be it with a refusal of what we sent."""
        self._turn(DELIVERING, None)
        self.renewed()

    def renewed(self) -> None:
        """The destination's settings changed: it has its budget and its tries anew, its state is as it was."""
        self._backoff.reset()
        self._failing_since_seconds = None
        self._tried_fresh_secrets = False

    def failed(self, trouble: Verdict, now_seconds: float, retry_after_seconds: float | None) -> float:
        """How many seconds to wait before the next try."""
        if self._failing_since_seconds is None:
            self._failing_since_seconds = now_seconds
        if trouble.fate is Fate.UNAUTHORIZED and not self._tried_fresh_secrets:
            self._tried_fresh_secrets = True
            return 0.0
        spent = now_seconds - self._failing_since_seconds >= self._policy.budget_seconds
        if trouble.fate is Fate.UNAVAILABLE and not spent:
            self._turn(RETRYING, trouble)
            return self._backoff.next_seconds(retry_after_seconds)
        self._turn(DISABLED if trouble.fate is Fate.GONE else PARKED, trouble)
        # Between half and all of the probe's time: many lanes are parked by one outage.
        probe = self._policy.probe_seconds * (1 - self._random() / 2)
        return max(probe, min(retry_after_seconds or 0.0, RETRY_AFTER_SECONDS_MAX))

    def _turn(self, state: str, trouble: Verdict | None) -> None:
        self.state, self.trouble = state, trouble

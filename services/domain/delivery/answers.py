"""What the answer of a destination means: delivered, refused for good, or to be tried again, and when.

The classes are those of destinations.md §3. Connectors call `judge` for their answers' statuses; lanes act on the
verdicts. An answer that nobody knows is never success.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Final

from contracts import codes
from contracts.codes import Code

_TRY_LATER: Final = frozenset({408, 423, 425, 429})


class Fate(StrEnum):
    """What becomes of what was sent, in the order of gravity."""

    DELIVERED = "delivered"
    REFUSED = "refused"  # for good: to dead letters, the lane goes on
    UNAVAILABLE = "unavailable"  # not now: the lane tries again
    UNAUTHORIZED = "unauthorized"  # our credentials are refused: once more with fresh ones, then the lane pauses
    BLOCKED = "blocked"  # nothing can even be sent until somebody acts: the lane pauses; said by lanes, not connectors
    GONE = "gone"  # the destination wants nothing more: the lane stops, its backlog is kept


@dataclass(frozen=True, slots=True)
class Verdict:
    """A fate and its reason; `code` is None only for `DELIVERED`. `detail` holds no identifiers and no secrets."""

    fate: Fate
    code: Code | None
    detail: str


SETTLED: Final = frozenset({Fate.DELIVERED, Fate.REFUSED})
DELIVERED: Final = Verdict(Fate.DELIVERED, None, "")
UNANSWERED: Final = Verdict(
    Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE, "the answer does not say what became of this item"
)
NOT_UNDERSTOOD: Final = Verdict(
    Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE, "the answer is none that is known of this destination"
)
REFUSED_MEMBER: Final = Verdict(
    Fate.REFUSED, codes.DELIVERY_PERMANENT, "the answer names this member as refused, and not the others"
)


_FATES: Final = tuple(Fate)


def gravest(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict that decides what a lane does next: fates stand in the order of their gravity."""
    return max(verdicts, key=lambda verdict: _FATES.index(verdict.fate))


def judge(status: int) -> Verdict:
    """The verdict on an HTTP status, where the status is all that the answer says."""
    detail = f"the destination answered {status}"
    if 200 <= status <= 299:
        return DELIVERED
    if 300 <= status <= 399:
        return Verdict(Fate.REFUSED, codes.DELIVERY_REDIRECTED, detail)
    if status in (401, 403):
        return Verdict(Fate.UNAUTHORIZED, codes.DELIVERY_AUTHENTICATION, detail)
    if status == 410:
        return Verdict(Fate.GONE, codes.DELIVERY_DESTINATION_GONE, detail)
    if 400 <= status <= 499 and status not in _TRY_LATER:
        return Verdict(Fate.REFUSED, codes.DELIVERY_PERMANENT, detail)
    # Throttled, failing, or no status that HTTP knows.
    return Verdict(Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE, detail)


def retry_after_seconds(value: str | None, now_ms: int) -> float | None:
    """The wait that a `Retry-After` header asks for, 0 or more; None where there is none or it makes no sense.

    Seconds or an HTTP date (RFC 9110 §10.2.3). How long a wish is honoured at most is for whoever waits to say.
    """
    text = (value or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    if moment.tzinfo is None:  # the asctime form names no zone; it is UTC as all HTTP dates are
        moment = moment.replace(tzinfo=UTC)
    return max(moment.timestamp() - now_ms / 1000, 0.0)

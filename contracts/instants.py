"""Instants on the wire: RFC 3339 in UTC with milliseconds; inside usher, milliseconds since 1970 as an int."""

import re
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

DAY_MS: Final = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?"
    r"(?:[Zz]|([+-])([01]\d|2[0-3]):?([0-5]\d))?)?",
    re.ASCII,
)


@lru_cache(maxsize=256)  # all that is written of one command is of one instant
def instant_text(at_ms: int) -> str:
    """`2026-01-02T00:00:00.000Z`."""
    moment = _EPOCH + timedelta(milliseconds=at_ms)
    return f"{moment.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def parse_instant(text: str) -> int | None:
    """Milliseconds since 1970 of a date or an RFC 3339 instant (0 to 9 fraction digits), else None.

    A date alone is its 00:00 UTC; an instant without an offset is taken as UTC; the fraction is cut after the
    milliseconds. None also where the instant is in no year from 1 to 9999 of UTC, which no text could say.
    """
    match = _INSTANT.fullmatch(text.strip())
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, sign, offset_hours, offset_minutes = match.groups()
    try:
        moment = datetime(
            int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0), tzinfo=UTC
        )
        if sign:
            offset = timedelta(hours=int(offset_hours), minutes=int(offset_minutes))
            moment = moment + offset if sign == "-" else moment - offset
    except (ValueError, OverflowError):
        return None
    return (moment - _EPOCH) // timedelta(seconds=1) * 1000 + int((fraction or "0").ljust(3, "0")[:3])


def parse_day(text: str) -> date | None:
    """The date of `YYYY-MM-DD`, or None where there is no such date."""
    if re.fullmatch(r"\d{4}-\d\d-\d\d", text, re.ASCII) is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def day_of(at_ms: int) -> str:
    """The UTC date of an instant, `YYYY-MM-DD`."""
    return instant_text(at_ms)[:10]


def day_start_ms(day: str) -> int:
    """00:00 UTC of `YYYY-MM-DD`, which must exist."""
    return (date.fromisoformat(day) - date(1970, 1, 1)).days * DAY_MS

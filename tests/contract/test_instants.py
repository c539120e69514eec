"""Instants on the wire: a table of texts, and the round trip over all milliseconds that have a text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.instants import DAY_MS, day_of, day_start_ms, instant_text, parse_day, parse_instant

NOON = 1_767_355_200_000  # 2026-01-02T12:00:00Z
FIRST_MS = -62_135_596_800_000  # 0001-01-01T00:00:00.000Z
LAST_MS = 253_402_300_799_999  # 9999-12-31T23:59:59.999Z

READ: dict[str, int | None] = {
    "2026-01-02T12:00:00.000Z": NOON,
    "2026-01-02T12:00:00Z": NOON,
    "2026-01-02T12:00Z": NOON,
    "2026-01-02t12:00:00z": NOON,
    "2026-01-02 12:00:00": NOON,
    " 2026-01-02T12:00:00Z\n": NOON,
    "2026-01-02T13:30:00+01:30": NOON,
    "2026-01-02T13:30:00+0130": NOON,
    "2026-01-02T12:00:00-00:00": NOON,
    "2026-01-01T13:00:00-23:00": NOON,
    "2026-01-02T12:00:00.1Z": NOON + 100,
    "2026-01-02T12:00:00.123999999Z": NOON + 123,  # cut, not rounded
    "2026-01-02": NOON - DAY_MS // 2,
    "1969-12-31T23:59:59.999Z": -1,
    "2024-02-29": 1_709_164_800_000,
    "0001-01-01": FIRST_MS,
    "9999-12-31T23:59:59.999Z": LAST_MS,
    # What is no instant.
    "": None,
    "now": None,
    "2026-13-45": None,
    "2025-02-29": None,
    "2026-01-02T24:00:00Z": None,
    "2026-01-02T12:60:00Z": None,
    "2026-12-31T23:59:60Z": None,  # a leap second has no place in milliseconds since 1970
    "2026-01-02T12:00:00.1234567890Z": None,
    "2026-01-02T12:00:00.Z": None,
    "2026-01-02T12:00:00+24:00": None,
    "2026-01-02T12:00:00+01:60": None,
    "2026-01-02T12Z": None,
    "2026-01-02Z": None,
    "2026-1-2": None,
    "20260102T120000Z": None,
    "1767355200000": None,
    "２０２６-01-02": None,  # digits, but not ASCII
    "0000-01-01": None,
    "0001-01-01T00:00:00+00:01": None,  # before the first year of UTC
    "9999-12-31T23:59:59-00:01": None,  # after the last
}


@pytest.mark.parametrize("text", READ)
def test_text_reads_as(text: str) -> None:
    assert parse_instant(text) == READ[text]


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (NOON + 7, "2026-01-02T12:00:00.007Z"),
        (-1, "1969-12-31T23:59:59.999Z"),
        (FIRST_MS, "0001-01-01T00:00:00.000Z"),
        (LAST_MS, "9999-12-31T23:59:59.999Z"),
    ],
)
def test_instant_is_written_as(at_ms: int, text: str) -> None:
    assert instant_text(at_ms) == text


@given(st.integers(FIRST_MS, LAST_MS))
def test_every_instant_reads_back_and_lies_in_its_day(at_ms: int) -> None:
    assert parse_instant(instant_text(at_ms)) == at_ms
    assert day_start_ms(day_of(at_ms)) <= at_ms < day_start_ms(day_of(at_ms)) + DAY_MS


@pytest.mark.parametrize(
    ("text", "exists"),
    [
        ("2026-01-02", True),
        ("2024-02-29", True),
        ("2025-02-29", False),
        ("2026-13-45", False),
        ("20260102", False),
        ("2026-W01-1", False),
        ("2026-01-02 ", False),
        ("２０２６-01-02", False),
    ],
)
def test_a_day_exists_or_not(text: str, *, exists: bool) -> None:
    day = parse_day(text)
    assert (day is not None) == exists
    assert day is None or day.isoformat() == text

"""Judging answers: tables of facts."""

import pytest

from contracts import codes
from contracts.codes import Code
from contracts.instants import parse_instant
from services.domain.delivery.answers import Fate, judge, retry_after_seconds


@pytest.mark.parametrize(
    ("statuses", "fate", "code"),
    [
        ((200, 201, 202, 204, 207, 299), Fate.DELIVERED, None),
        ((300, 301, 302, 303, 304, 307, 308, 399), Fate.REFUSED, codes.DELIVERY_REDIRECTED),
        ((400, 402, 404, 405, 406, 409, 413, 415, 422, 451, 499), Fate.REFUSED, codes.DELIVERY_PERMANENT),
        ((401, 403), Fate.UNAUTHORIZED, codes.DELIVERY_AUTHENTICATION),
        ((410,), Fate.GONE, codes.DELIVERY_DESTINATION_GONE),
        ((408, 423, 425, 429), Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE),
        ((500, 501, 502, 503, 504, 599), Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE),
        ((-1, 0, 100, 101, 199, 600, 999), Fate.UNAVAILABLE, codes.DELIVERY_UNAVAILABLE),
    ],
)
def test_statuses(statuses: tuple[int, ...], fate: Fate, code: Code | None) -> None:
    for status in statuses:
        verdict = judge(status)
        assert (verdict.fate, verdict.code) == (fate, code), status


def test_only_success_has_no_code_and_no_status_is_success_but_the_two_hundreds() -> None:
    for status in range(-1, 1000):
        verdict = judge(status)
        assert (verdict.fate is Fate.DELIVERED) == (200 <= status <= 299) == (verdict.code is None)


NOW_MS = parse_instant("1994-11-06T08:49:07Z") or 0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9" * 400, float("inf")),
        ("-5", None),
        ("1.5", None),
        ("1e3", None),
        ("٣", None),  # a digit, but no number of HTTP
        ("soon", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", 30.0),
        ("Sunday, 06-Nov-94 08:49:37 GMT", 30.0),
        ("Sun Nov  6 08:49:37 1994", 30.0),
        ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
        ("Sun, 99 Nov 1994 08:49:37 GMT", None),
        ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW_MS) == seconds

"""Delays between tries: bounded, spread, and never before the other side's wish."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.runtime.backoff import RETRY_AFTER_SECONDS_MAX, Backoff


@given(st.floats(0, 0.999), st.integers(0, 3000))
def test_a_delay_lies_between_0_and_the_doubled_ceiling(chance: float, failures: int) -> None:
    backoff = Backoff(base_seconds=0.5, cap_seconds=60.0, random=lambda: chance)
    backoff.failures = failures
    assert backoff.next_seconds() == pytest.approx(chance * min(60.0, 0.5 * 2 ** min(failures, 60)))


def test_it_grows_to_the_cap_and_starts_anew_after_a_success() -> None:
    backoff = Backoff(base_seconds=1.0, cap_seconds=5.0, random=lambda: 1.0)
    assert [backoff.next_seconds() for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    backoff.reset()
    assert backoff.next_seconds() == 1.0


@given(st.floats(0, 0.999), st.floats(0.001, 1e9))
def test_a_wish_is_kept_and_spread_but_cannot_stop_us_for_days(chance: float, wish: float) -> None:
    backoff = Backoff(base_seconds=1.0, cap_seconds=60.0, random=lambda: chance)
    kept = min(wish, RETRY_AFTER_SECONDS_MAX)
    assert kept <= backoff.next_seconds(wish) <= kept * 1.1


def test_a_wish_for_the_past_is_none() -> None:
    assert Backoff(base_seconds=1.0, cap_seconds=60.0, random=lambda: 0.5).next_seconds(-7.0) == 0.5

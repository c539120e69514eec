"""Requests a second, kept by spacing."""

import pytest

from services.domain.delivery.spacing import Spacing


def test_requests_are_spaced_and_idle_time_is_not_saved_up() -> None:
    spacing = Spacing()
    assert [spacing.reserve(10.0, 0.25) for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]
    assert spacing.reserve(100.0, 0.25) == 0.0
    assert spacing.reserve(100.1, 0.25) == pytest.approx(0.15)


def test_who_takes_longer_is_not_waited_for_twice() -> None:
    spacing = Spacing()
    assert [spacing.reserve(0.0, takes) for takes in (0.5, 0.25, 0.5)] == [0.0, 0.5, 0.75]

"""Requests a second, kept by spacing."""

import pytest

from services.domain.delivery.spacing import Spacing


def test_requests_are_spaced_and_idle_time_is_not_saved_up() -> None:
    spacing = Spacing(4.0)
    assert [spacing.reserve(10.0) for _ in range(4)] == [0.0, 0.25, 0.5, 0.75]
    assert spacing.reserve(100.0) == 0.0
    assert spacing.reserve(100.1) == pytest.approx(0.15)


def test_without_a_limit_nobody_waits() -> None:
    spacing = Spacing(None)
    assert [spacing.reserve(1.0) for _ in range(3)] == [0.0, 0.0, 0.0]

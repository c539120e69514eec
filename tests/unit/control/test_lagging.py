"""Lag by activation: only what waits has a series, the furthest behind of a shard, each worker its own shards'."""

from collections.abc import Iterator

import pytest

from contracts.messages.published import ActivationStatus
from services.control import lagging
from services.control.lagging import EVERY_SECONDS, SHOWN_MAX, ActivationLags
from services.runtime.telemetry import REGISTRY
from tests.unit.runtime.machine import HandClock


def status(activation: str, records: int, seconds: float | None) -> ActivationStatus:
    return ActivationStatus(
        space_id="acme",
        activation_id=activation,
        destination_id="dest",
        audience_id="aud",
        state="running",
        lag_records=records,
        lag_seconds=seconds,
        updated_at="2026-01-01T00:00:00.000Z",
    )


def shown(unit: str) -> dict[str, float]:
    """What `/metrics` says, by activation."""
    return {
        sample.labels["activation"]: sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == f"usher_activation_lag_{unit}"
    }


@pytest.fixture
def lags() -> Iterator[ActivationLags]:
    lags = ActivationLags(HandClock())
    yield lags
    for shard in (0, 1):
        lags.forget(shard)


def test_what_waits_no_longer_has_no_series(lags: ActivationLags) -> None:
    lags.show(0, [status("act_1", 3, 7.5), status("act_2", 1, None)])
    assert (shown("records"), shown("seconds")) == ({"act_1": 3, "act_2": 1}, {"act_1": 7.5})

    lags.show(0, [status("act_2", 9, 0.5)])
    assert (shown("records"), shown("seconds")) == ({"act_2": 9}, {"act_2": 0.5})


def test_the_furthest_behind_are_shown(lags: ActivationLags, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lagging, "SHOWN_MAX", 2)
    lags.show(
        0, [status("many", 9_000, 1.0), status("long", 1, 60.0), status("new", 50, None), status("more", 2, 60.0)]
    )
    assert shown("records") == {"long": 1, "more": 2}
    assert SHOWN_MAX == 500  # as the documentation says


def test_a_shard_that_is_lost_takes_only_its_own_along(lags: ActivationLags) -> None:
    lags.show(0, [status("act_1", 1, 1.0)])
    lags.show(1, [status("act_2", 2, 2.0)])
    lags.forget(0)
    assert shown("records") == {"act_2": 2}


def test_each_shard_is_gone_through_now_and_then() -> None:
    clock = HandClock()
    lags = ActivationLags(clock)
    assert lags.is_due(0)
    lags.show(0, [])
    assert not lags.is_due(0)
    assert lags.is_due(1)
    clock.pass_seconds(EVERY_SECONDS)
    assert lags.is_due(0)

"""Imports that wait for the hour of their feed."""

import pytest

from contracts.messages.steps import ImportOpenStep, TickStep
from tests.unit.domain.control.bench import START_MS, Bench, imports, requests, steps
from tests.unit.domain.control.importing import announce, version

HOUR_MS = 3_600_000


def told(**space: object) -> Bench:
    """A feed whose hour is seven o'clock."""
    bench = Bench()
    bench.made("spaces.create", {"clock": "manual", "time": "2026-01-01"} | space)
    bench.made("feeds.create", {"id": "feed", "name": "f", "mode": "append", "lookback_days": 1, "id_type": "kuid", "source": {"kind": "s3", "prefix": "f/"}, "process_at": "07:00"})  # fmt: skip
    return bench


def drop(bench: Bench, name: str = "f/a", *, hour: int = 1) -> str:
    """An object is announced, and waits; its import."""
    outs = announce(bench, version(name), feed="feed", event_time_ms=START_MS + hour * HOUR_MS)
    assert not steps(outs)
    *_, shown = imports(outs)
    assert shown.state == "waiting"
    return shown.import_id


@pytest.mark.parametrize(
    ("stands", "waits_until"),
    [
        ("2026-01-01T06:59:59.999Z", "2026-01-01T07:00:00.000Z"),
        ("2026-01-01T07:00:00.000Z", "2026-01-02T07:00:00.000Z"),
        ("2026-01-01T23:00:00.000Z", "2026-01-02T07:00:00.000Z"),
    ],
)
def test_it_waits_for_the_next_hour_after_now(stands: str, waits_until: str) -> None:
    bench = told()
    bench.advance(stands)

    import_id = drop(bench)

    assert bench.imports()[import_id].waits_until == waits_until


def test_the_clock_passes_the_hours_in_order() -> None:
    bench = told()
    late, early = drop(bench, "f/late", hour=5), drop(bench, "f/early", hour=4)

    bench.advance("2026-01-01T06:59")
    assert not requests(bench.outs)
    outs = bench.handle(bench.command("clock.advance", {"to": "2026-01-03"}))

    assert [(type(one), one.at_ms - START_MS) for one in steps(outs)] == [
        (ImportOpenStep, 7 * HOUR_MS),
        (ImportOpenStep, 7 * HOUR_MS),
        (TickStep, 48 * HOUR_MS),
    ]
    asked = requests(outs)
    assert [one.import_id for one in asked] == [early, late]
    assert [one.open_step for one in asked] == [one.step for one in steps(outs)[:2]]
    shown = bench.imports()[early]
    assert (shown.state, shown.attempt, shown.waits_until, shown.step) == ("reading", 1, None, asked[0].open_step)


def test_at_the_hour_itself_it_is_opened_as_the_clock_arrives() -> None:
    bench = told()
    import_id = drop(bench)

    bench.advance("2026-01-01T07:00")

    assert bench.imports()[import_id].state == "reading"


def test_with_system_time_the_machine_s_clock_brings_the_hour() -> None:
    bench = Bench()
    bench.made("spaces.create", {"clock": "system"})
    bench.made("feeds.create", {"id": "feed", "name": "f", "mode": "replace", "id_type": "kuid", "source": {"kind": "s3", "prefix": "f/"}, "process_at": "07:00"})  # fmt: skip
    import_id = drop(bench)

    assert bench.shard.due_ms() == START_MS + 7 * HOUR_MS
    bench = bench.restart()
    bench.now_ms = START_MS + 9 * HOUR_MS
    outs = bench.handle()

    (opened,) = steps(outs)
    assert opened.at_ms == START_MS + 7 * HOUR_MS
    assert bench.imports()[import_id].state == "reading"


def test_it_keeps_the_form_that_its_feed_had() -> None:
    bench = told()
    drop(bench)
    bench.send("feeds.update", {"feed": "feed", "process_at": None, "lookback_days": 5})
    bench.send("feeds.delete", {"feed": "feed"})

    outs = bench.handle(bench.command("clock.advance", {"to": "2026-01-01T08:00"}))

    opened = steps(outs)[0]
    assert isinstance(opened, ImportOpenStep)
    assert (opened.lookback_days, opened.day) == (1, "2026-01-01")


def test_an_audience_made_while_it_waits_may_be_named() -> None:
    bench = told()
    drop(bench)
    bench.made("audiences.create", {"id": "aud_a", "name": "a", "id_type": "kuid"})

    (asked,) = requests(bench.handle(bench.command("clock.advance", {"to": "2026-01-01T08:00"})))

    assert asked.open_step > 1

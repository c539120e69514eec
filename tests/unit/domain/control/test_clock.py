"""Time: what is due is done at its instant and in order; a tick is written only then, or when the clock is moved."""

from typing import Any

import pytest

from contracts import codes
from contracts.instants import instant_text, parse_instant
from contracts.messages.results import Ticked
from contracts.messages.steps import ActivationStep, ImportApplyStep, Step, TickStep
from services.domain.control import clock
from tests.unit.domain.control.bench import PARTITIONS, SPACE, START_MS, Bench, codes_of, replies, steps, ticked
from tests.unit.domain.control.importing import carry_through, opened, version

DAY_MS = 86_400_000


def at(text: str) -> int:
    """Milliseconds of an instant."""
    found = parse_instant(text)
    assert found is not None
    return found


def told(written: list[Step]) -> list[str]:
    """Steps as text: what and when."""
    return [
        f"{one.marker if isinstance(one, ActivationStep) else 'tick'} {instant_text(one.at_ms)[:16]}"
        for one in written
        if isinstance(one, ActivationStep | TickStep)
    ]


def with_feeds(bench: Bench) -> Bench:
    """An audience, a full feed, and incremental ones of 10 and of 3 days."""
    bench.made("audiences.create", {"id": "aud_a", "name": "a", "id_type": "kuid"})
    for name, fields in (
        ("full", {"mode": "replace"}),
        ("incr", {"mode": "append", "lookback_days": 10}),
        ("short", {"mode": "append", "lookback_days": 3}),
    ):
        source = {"source": {"kind": "s3", "prefix": f"{name}/"}}
        bench.made("feeds.create", {"id": f"feed_{name}", "name": name, "id_type": "kuid", **fields, **source})
    return bench


def import_day(bench: Bench, feed: str, day: str) -> None:
    """One import of a feed, carried through."""
    carry_through(bench, opened(bench, version(f"{feed}/{day}/{next(bench.numbers)}"), feed=f"feed_{feed}"))


EXPIRIES: list[tuple[str, list[tuple[str, str]], list[str]]] = [
    ("nothing expires", [], []),
    ("a full refresh alone never expires", [("full", "2026-01-01")], []),
    ("an append leaves", [("incr", "2026-01-01")], ["2026-01-11"]),
    ("two appends of a day leave together", [("incr", "2026-01-01"), ("incr", "2026-01-01")], ["2026-01-11"]),
    ("appends of two days", [("incr", "2026-01-01"), ("incr", "2025-12-30")], ["2026-01-09", "2026-01-11"]),
    ("an append takes the base with it", [("full", "2025-12-28"), ("incr", "2026-01-01")], ["2026-01-07", "2026-01-11"]),
    ("a late full refresh below an append", [("incr", "2026-01-01"), ("full", "2025-12-28")], ["2026-01-07", "2026-01-11"]),
    ("two lookbacks", [("full", "2025-12-30"), ("short", "2026-01-01"), ("incr", "2026-01-01")], ["2026-01-02", "2026-01-04", "2026-01-09", "2026-01-11"]),
    ("what has expired already is not due", [("incr", "2025-12-01")], []),
]  # fmt: skip


@pytest.mark.parametrize(("brought", "expected"), [row[1:] for row in EXPIRIES], ids=[row[0] for row in EXPIRIES])
def test_a_tick_for_each_day_at_whose_start_something_may_expire(
    brought: list[tuple[str, str]], expected: list[str]
) -> None:
    bench = with_feeds(Bench().space())
    for feed, day in brought:
        import_day(bench, feed, day)
    before = len(bench.outs)

    reply = bench.advance("2026-03-01T12:00:00Z")

    assert told(steps(bench.outs[before:])) == [f"tick {day}T00:00" for day in expected] + ["tick 2026-03-01T12:00"]
    assert reply.effective_at == "2026-03-01T12:00:00.000Z"
    assert reply.data[0]["time"] == "2026-03-01T12:00:00.000Z"


@pytest.mark.parametrize(("brought", "expected"), [row[1:] for row in EXPIRIES], ids=[row[0] for row in EXPIRIES])
def test_a_space_with_system_time_ticks_by_itself(brought: list[tuple[str, str]], expected: list[str]) -> None:
    bench = Bench()
    bench.made("spaces.create", {})
    with_feeds(bench)
    for feed, day in brought:
        import_day(bench, feed, day)
    before = len(bench.outs)

    while (due_ms := bench.shard.due_ms()) is not None:
        assert due_ms > bench.now_ms
        bench.now_ms = due_ms
        bench.handle()

    assert told(steps(bench.outs[before:])) == [f"tick {day}T00:00" for day in expected]


def test_members_replace_is_a_base_too() -> None:
    bench = with_feeds(Bench().space())
    bench.send("members.replace", {"audience": "a", "identifiers": ["u1"]})
    bench.advance("2026-01-05")
    import_day(bench, "incr", "2026-01-05")
    before = len(bench.outs)

    bench.advance("2026-02-01")

    assert told(steps(bench.outs[before:])) == [
        "tick 2026-01-11T00:00",
        "tick 2026-01-15T00:00",
        "tick 2026-02-01T00:00",
    ]


def test_the_tick_of_the_instant_itself_is_one() -> None:
    bench = with_feeds(Bench().space())
    import_day(bench, "incr", "2026-01-01")
    before = len(bench.outs)

    bench.advance("2026-01-11")

    assert told(steps(bench.outs[before:])) == ["tick 2026-01-11T00:00"]


def test_what_comes_after_an_instant_comes_after_its_tick() -> None:
    bench = Bench()
    bench.made("spaces.create", {})
    with_feeds(bench)
    import_day(bench, "incr", "2026-01-01")
    bench.now_ms = at("2026-01-11T08:00")

    outs = bench.handle(bench.command("members.add", {"audience": "a", "identifiers": ["u1"]}))

    first, second = steps(outs, partition=None)[0], steps(outs, partition=None)[-1]
    assert (first.at_ms, second.at_ms) == (at("2026-01-11"), bench.now_ms)
    assert isinstance(first, TickStep)
    assert first.step < second.step


def test_an_import_that_is_applied_after_its_expiry_asks_for_no_tick() -> None:
    bench = with_feeds(Bench().space())
    import_id = opened(bench, version("short/2026-01-01/a"), feed="feed_short")
    bench.advance("2026-01-10")
    before = len(bench.outs)
    carry_through(bench, import_id)

    bench.advance("2026-02-01")

    assert told(steps(bench.outs[before:])) == ["tick 2026-02-01T00:00"]
    assert [type(one) for one in steps(bench.outs[before:])] == [ImportApplyStep, TickStep]


def test_the_reply_waits_for_every_partition() -> None:
    bench = Bench().space()
    outs = bench.handle(bench.command("clock.advance", {"to": "2026-01-02"}))
    (tick,) = steps(outs)
    assert isinstance(tick, TickStep)
    first, second, third = ticked(tick)

    assert not replies(outs + bench.result(first, first, second))
    (reply,) = replies(bench.result(third))

    assert reply.status == "accepted"


def test_ticks_of_other_steps_are_no_answer() -> None:
    bench = with_feeds(Bench().space())
    import_day(bench, "incr", "2026-01-01")
    expiry, last = steps(bench.handle(bench.command("clock.advance", {"to": "2026-02-01"})))
    assert isinstance(expiry, TickStep)
    assert isinstance(last, TickStep)

    assert not replies(bench.result(*ticked(expiry)))
    assert len(replies(bench.result(*ticked(last)))) == 1


def test_several_instants_in_one_command_wait_for_the_last() -> None:
    bench = Bench().space()
    items = [{"to": "2026-01-02"}, {"to": "2026-01-01"}, {"to": "2026-01-03"}]
    first, last = steps(bench.handle(bench.command("clock.advance", *items)))
    assert isinstance(first, TickStep)
    assert isinstance(last, TickStep)
    assert not replies(bench.result(*ticked(first)))

    (reply,) = replies(bench.result(*ticked(last)))

    assert codes_of(reply) == [codes.CLOCK_BACKWARDS.code]
    assert reply.counts.applied == 2


def test_where_the_clock_stands_already_is_no_step_and_waits_for_who_comes_there() -> None:
    bench = Bench().space()
    at_once = bench.send("clock.advance", {"to": "2026-01-01T00:00:00Z"})
    (tick,) = steps(bench.handle(bench.command("clock.advance", {"to": "2026-01-02"})))
    assert isinstance(tick, TickStep)
    bench.result(Ticked(space_id=SPACE, partition=0, partitions=PARTITIONS, step=tick.step, at_ms=tick.at_ms))

    outs = bench.handle(bench.command("clock.advance", {"to": "2026-01-02"}))

    assert at_once.counts.applied == 1
    assert not replies(outs)
    assert not steps(outs)
    assert len(replies(bench.result(*list(ticked(tick))[1:]))) == 2


def test_a_space_with_system_time_refuses_to_be_moved() -> None:
    bench = Bench()
    bench.made("spaces.create", {})

    assert codes_of(bench.send("clock.advance", {"to": "2027-01-01"})) == [codes.CLOCK_NOT_MANUAL.code]


def test_a_manual_clock_stands_whatever_the_machine_says() -> None:
    bench = with_feeds(Bench().space())
    import_day(bench, "incr", "2026-01-01")
    bench.now_ms += 400 * DAY_MS

    assert bench.shard.due_ms() is None
    assert not bench.handle()
    assert bench.send("audiences.update", {"audience": "a"}).effective_at == "2026-01-01T00:00:00.000Z"


def test_time_never_goes_back_with_the_machines_clock() -> None:
    bench = Bench()
    bench.made("spaces.create", {})
    bench.made("audiences.create", {"name": "a", "id_type": "kuid"})
    bench.now_ms -= 5 * DAY_MS

    bench.made("audiences.create", {"name": "b", "id_type": "kuid"})

    assert [one.at_ms for one in steps(bench.outs)] == [START_MS, START_MS]


def test_clock_advance_does_not_wait_for_imports() -> None:
    bench = with_feeds(Bench().space())
    opened(bench)

    assert not bench.advance("2026-01-02").errors


SPACES: list[tuple[object, str | None]] = [
    ({}, None),
    ({"clock": "system"}, None),
    ({"name": "Acme", "clock": "manual", "time": "2020-02-02"}, None),
    ({"clock": "manual", "start": "2020-02-02T10:00:00+02:00"}, None),
    ({"clock": "manual"}, None),
    ({"id": SPACE}, None),
    ({"clock": "sundial"}, codes.FIELD_INVALID.code),
    ({"clock": "manual", "time": "once"}, codes.FIELD_INVALID.code),
    ({"clock": "manual", "time": "once upon"}, codes.FIELD_INVALID.code),
    ({"time": "2020-02-02"}, codes.CLOCK_NOT_MANUAL.code),
    ({"space_id": "other"}, codes.SPACE_MISMATCH.code),
    ({"quotas": {"audiences": "many"}}, codes.FIELD_INVALID.code),
    ({"name": ""}, codes.FIELD_INVALID.code),
]


@pytest.mark.parametrize(("item", "code"), SPACES)
def test_creating_a_space(item: object, code: str | None) -> None:
    bench = Bench()

    reply = bench.send("spaces.create", item)

    assert codes_of(reply) == ([] if code is None else [code])
    assert (f"{SPACE}/space/{SPACE}" in bench.catalogue) == (code is None)
    assert code is None or not bench.state


def test_a_space_is_created_once_and_its_name_is_its_id_unless_said_otherwise() -> None:
    bench = Bench().space()

    assert bench.send("spaces.update", {}).data[0]["name"] == SPACE
    assert codes_of(bench.send("spaces.create", {})) == [codes.SPACE_EXISTS.code]


def test_a_space_id_must_be_an_id() -> None:
    reply = Bench().send("spaces.create", {}, space="No Such/Space")

    assert codes_of(reply) == [codes.FIELD_INVALID.code]


def test_a_space_made_again_goes_on_counting_and_forgets_no_id() -> None:
    bench = Bench().space()
    bench.made("audiences.create", {"id": "aud_a", "name": "a", "id_type": "kuid"})
    bench.made("audiences.delete", {"id": "aud_a"})
    bench.made("spaces.delete", {})
    bench = bench.restart()
    bench.numbers = iter(range(100, 200))  # other command ids than before
    assert bench.send("spaces.update", {}).status == "rejected"
    assert codes_of(bench.send("spaces.create", {"clock": "manual", "time": "2025-12-31"})) == [
        codes.CLOCK_BACKWARDS.code
    ]

    bench.space()

    reply = bench.send(
        "audiences.create", {"id": "aud_a", "name": "a", "id_type": "kuid"}, {"name": "a", "id_type": "kuid"}
    )
    assert codes_of(reply) == [codes.ID_TAKEN.code]
    assert reply.data[0]["step"] == 3


def busy(bench: Bench, *, evaluation: str = "", **activation: object) -> Bench:
    """A space in which things are due again and again."""
    runs = {"evaluation": {"mode": "scheduled", "at": evaluation.split()}} if evaluation else {}
    bench.made("audiences.create", {"id": "aud_r", "name": "r", "id_type": "kuid", **runs})
    bench.made("audiences.create", {"id": "aud_a", "name": "a", "id_type": "kuid"})
    bench.made("destinations.create", {"name": "d", "connector": "webhook", "settings": {"url": "u"}})
    if activation:
        bench.made("activations.create", {"name": "x", "audience": "a", "destination": "d", **activation})
    return bench


BUSY: list[tuple[str, dict[str, Any], int]] = [
    ("nothing", {}, 0),
    ("twice-daily runs", {"evaluation": "00:00 12:00"}, 0),  # nothing has happened since the first
    ("an end that moves on each day", {"end_date": "2026-01-03", "extend": True, "extend_days": 1}, 364),
    ("all members again each day", {"recurring": True, "recurring_days": 1}, 365),
    ("both", {"end_date": "2026-01-03", "extend": True, "extend_days": 30, "recurring": True, "recurring_days": 7}, 64),
    ("an end long ago", {"end_date": "0001-01-02", "extend": True, "recurring": True, "recurring_days": 1}, 0),
    ("a period that ends", {"end_date": "2026-02-01", "recurring": True, "recurring_days": 1}, 31),
    ("a period to come", {"start_date": "2026-12-01", "recurring": True, "recurring_days": 1}, 32),
]


@pytest.mark.parametrize(("made", "done"), [row[1:] for row in BUSY], ids=[row[0] for row in BUSY])
def test_a_far_jump_does_no_more_than_was_counted(
    made: dict[str, Any], done: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = busy(Bench().space(), **made)
    to = {"to": "2027-01-01T12:00"}  # 365.5 days
    monkeypatch.setattr(clock, "DUE_MAX", -1)
    (refused,) = bench.send("clock.advance", to).errors
    monkeypatch.setattr(clock, "DUE_MAX", 1_000_000)
    outs = bench.handle(bench.command("clock.advance", to))

    assert refused.code == codes.CLOCK_TOO_FAR.code
    markers = [one for one in steps(outs) if isinstance(one, ActivationStep)]
    assert done == len(markers) <= int(refused.detail.split()[0])


def test_a_jump_past_too_much_is_refused_and_shorter_ones_go_there() -> None:
    bench = busy(Bench().space(), evaluation=" ".join(f"{hour:02}:00" for hour in range(24)))  # 5,000 hours: 208 days

    far = bench.send("clock.advance", {"to": "2026-07-30"})
    halfway = bench.handle(bench.command("clock.advance", {"to": "2026-04-01"}, {"to": "2026-07-30"}))
    (last, *_) = reversed([one for one in steps(halfway) if isinstance(one, TickStep)])
    (both,) = replies(bench.result(*ticked(last)))

    assert codes_of(far) == [codes.CLOCK_TOO_FAR.code]
    assert codes_of(both) == [codes.CLOCK_TOO_FAR.code]  # one command does no more for having two items
    assert both.data[0]["time"] == "2026-04-01T00:00:00.000Z"
    assert bench.advance("2026-07-30").errors == []


def test_a_day_can_always_be_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "DUE_MAX", 0)
    bench = busy(Bench().space(), evaluation="06:00 12:00")

    assert bench.advance("2026-01-02").errors == []


def test_what_has_ended_long_ago_holds_no_clock_back() -> None:
    bench = busy(Bench().space(), end_date="0001-01-02", extend=True, extend_days=1, recurring=True, recurring_days=1)

    assert bench.advance("2126-01-01").errors == []


@pytest.mark.parametrize("start", ["0001-01-01", "1969-12-31T23:59:59.999Z"])
def test_no_clock_stands_before_1970(start: str) -> None:
    reply = Bench().send("spaces.create", {"clock": "manual", "time": start})

    assert codes_of(reply) == [codes.FIELD_INVALID.code]

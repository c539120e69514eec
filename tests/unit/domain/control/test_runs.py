"""Scheduled audiences: when they run, and what replies say about it."""

import pytest

from contracts.instants import instant_text
from contracts.messages.entities import Audience
from contracts.messages.steps import DefinitionStep, ImportOpenStep, PatchStep, RunStep, Step, TickStep
from contracts.records import Out
from tests.unit.domain.control.bench import START_MS, Bench, requests, steps
from tests.unit.domain.control.importing import announce, carry_through, opened, version

HOUR_MS = 3_600_000
TWICE_A_DAY = {"mode": "scheduled", "at": ["12:00", "00:00", "12:00"], "timezone": "UTC"}


@pytest.fixture
def bench() -> Bench:
    """A list and a composition that run twice a day, a list that runs at six, and a continuous one."""
    bench = Bench().space()
    list_ = {"kind": "list", "id_type": "kuid"}
    bench.made(
        "audiences.create",
        {"id": "slow", "name": "slow", **list_, "evaluation": TWICE_A_DAY},
        {"id": "six", "name": "six", **list_, "evaluation": {"mode": "scheduled", "at": ["06:00"]}},
        {"id": "quick", "name": "quick", **list_},
        {"id": "both", "name": "both", "expression": {"or": [{"audience": "slow"}, {"audience": "quick"}]}, "evaluation": TWICE_A_DAY},
    )  # fmt: skip
    return bench


def runs(outs: list[Out]) -> list[tuple[str, list[str]]]:
    """Hour and audiences of each run."""
    return [(instant_text(one.at_ms)[11:16], one.audiences) for one in steps(outs) if isinstance(one, RunStep)]


def advance(bench: Bench, to: str) -> list[Out]:
    return bench.handle(bench.command("clock.advance", {"to": to}))


def add(bench: Bench, audience: str = "slow") -> None:
    assert not bench.send("members.add", {"audience": audience, "identifiers": ["u1"]}).errors


def test_membership_is_told_which_audiences_wait_for_runs(bench: Bench) -> None:
    told = {one.audience_id: one.scheduled for one in steps(bench.outs) if isinstance(one, DefinitionStep)}

    assert told == {"slow": True, "six": True, "quick": False, "both": True}
    slow = bench.catalogue["acme/audience/slow"]
    assert isinstance(slow, Audience)
    assert slow.evaluation.at == ["00:00", "12:00"]


def test_runs_come_at_their_times_in_order(bench: Bench) -> None:
    add(bench)

    outs = advance(bench, "2026-01-01T18:00")
    assert runs(outs) == [("06:00", ["six"]), ("12:00", ["both", "slow"])]
    assert [instant_text(one.at_ms)[11:13] for one in steps(outs)] == ["06", "12", "18"]


def test_at_one_instant_expiry_comes_before_a_run_and_what_opens_after_it(bench: Bench) -> None:
    bench.made("feeds.create", {"id": "feed", "name": "f", "mode": "append", "lookback_days": 1, "id_type": "kuid", "source": {"kind": "s3", "prefix": "f/"}})  # fmt: skip
    carry_through(bench, opened(bench, version("f/a"), feed="feed"), audiences=("slow",))
    bench.send("feeds.update", {"feed": "feed", "process_at": "00:00"})
    announce(bench, version("f/b"), feed="feed")

    outs = advance(bench, "2026-01-02")

    at_midnight: list[Step] = [one for one in steps(outs) if one.at_ms == START_MS + 24 * HOUR_MS]
    # The last tick is what the reply waits for: all of the instant stands before it.
    assert [type(one) for one in at_midnight] == [TickStep, RunStep, ImportOpenStep, TickStep]
    assert requests(outs)


def test_the_reply_to_an_advance_comes_when_the_run_is_done(bench: Bench) -> None:
    add(bench)

    reply = bench.advance("2026-01-01T12:00")

    assert not reply.errors
    assert [type(one) for one in steps(bench.outs)][-2:] == [RunStep, TickStep]


def test_nothing_is_run_where_nothing_has_happened(bench: Bench) -> None:
    advance(bench, "2026-01-02T01:00")
    bench.made("audiences.delete", {"name": "six"})
    add(bench)

    outs = advance(bench, "2027-01-01T01:00")

    assert runs(outs) == [("12:00", ["both", "slow"])]


def test_a_run_can_be_forced(bench: Bench) -> None:
    outs = bench.handle(bench.command("audiences.run", {"name": "both"}, {"audience": "slow"}))

    assert runs(outs) == [("00:00", ["both"]), ("00:00", ["slow"])]


def test_with_system_time_the_machine_s_clock_brings_the_run() -> None:
    bench = Bench()
    bench.made("spaces.create", {"clock": "system"})
    bench.made("audiences.create", {"id": "a", "name": "a", "id_type": "kuid", "evaluation": TWICE_A_DAY})

    assert bench.shard.due_ms() == START_MS + 12 * HOUR_MS
    bench = bench.restart()
    assert bench.shard.due_ms() == START_MS + 12 * HOUR_MS
    bench.now_ms = START_MS + 12 * HOUR_MS + 5
    assert not bench.send("members.add", {"audience": "a", "identifiers": ["u1"]}, id_="later").errors

    run, patch = steps(bench.outs, None)[0], steps(bench.outs, None)[-1]
    assert isinstance(run, RunStep)
    assert isinstance(patch, PatchStep)
    assert (run.at_ms - START_MS, patch.at_ms - START_MS) == (12 * HOUR_MS, 12 * HOUR_MS + 5)


@pytest.mark.parametrize(
    ("type_", "item", "effective", "live"),
    [
        ("members.add", {"audience": "slow", "identifiers": ["u1"]}, "2026-01-01T12:00", "2026-01-01T17:00"),
        ("members.clear", {"audience": "six"}, "2026-01-02T06:00", "2026-01-02T06:00"),
        ("members.add", {"audience": "quick", "identifiers": ["u1"]}, "2026-01-01T07:00", "2026-01-01T07:00"),
        ("audiences.update", {"audience": "both", "expression": {"audience": "quick"}}, "2026-01-01T12:00", "2026-01-01T17:00"),
        ("audiences.update", {"audience": "both", "name": "other"}, "2026-01-01T07:00", "2026-01-01T07:00"),
        ("audiences.update", {"audience": "slow", "evaluation": None}, "2026-01-01T07:00", "2026-01-01T07:00"),
        ("audiences.run", {"audience": "slow"}, "2026-01-01T07:00", "2026-01-01T12:00"),
        ("audiences.delete", {"audience": "both"}, "2026-01-01T07:00", "2026-01-01T07:00"),
    ],
)  # fmt: skip
def test_replies_say_when_it_shows(bench: Bench, type_: str, item: object, effective: str, live: str) -> None:
    bench.advance("2026-01-01T07:00")

    reply = bench.send(type_, item)

    assert not reply.errors
    assert (reply.effective_at[:16], reply.expected_live_at[:16]) == (effective, live)


def test_what_comes_at_the_start_of_a_run_waits_for_the_next(bench: Bench) -> None:
    bench.advance("2026-01-01T12:00")

    reply = bench.send("members.add", {"audience": "slow", "identifiers": ["u1"]})

    assert reply.effective_at == "2026-01-02T00:00:00.000Z"


def test_a_reply_speaks_of_its_last_item(bench: Bench) -> None:
    items = [{"audience": name, "identifiers": ["u1"]} for name in ("quick", "slow", "six")]

    reply = bench.send("members.add", *items)

    assert (reply.effective_at[11:16], reply.expected_live_at[11:16]) == ("12:00", "17:00")


def test_other_times_are_told_and_kept(bench: Bench) -> None:
    bench.send("audiences.update", {"audience": "slow", "evaluation": {"mode": "scheduled", "at": ["01:30"]}})
    bench.send("audiences.update", {"audience": "both", "evaluation": None})

    outs = advance(bench, "2026-01-01T05:00")

    assert runs(outs) == [("01:30", ["slow"])]
    told = [(one.audience_id, one.scheduled) for one in steps(bench.outs) if isinstance(one, DefinitionStep)]
    assert told[-2:] == [("slow", True), ("both", False)]

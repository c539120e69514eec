"""Activations that wait for their audience to reach the least size that their destination takes (decision 0035)."""

import pytest

from contracts import catalog, codec, codes
from contracts.messages.results import Held
from contracts.messages.steps import ActivationStep
from tests.unit.domain.control.bench import PARTITIONS, SPACE, Bench, codes_of, steps
from tests.unit.domain.control.delivering import activate, delivered, routed, say, status

WAITS = "waiting-for-minimum"


@pytest.fixture
def bench() -> Bench:
    """A destination that wants audiences of ten."""
    bench = Bench().space()
    bench.made("audiences.create", {"id": "aud_a", "name": "a", "id_type": "kuid"})
    bench.made(
        "destinations.create",
        {"id": "dest_d", "name": "d", "connector": "webhook", "settings": {"url": "https://a"}, "limits": {"members_min": 10}},
    )  # fmt: skip
    return bench


def hold(
    bench: Bench, partition: int, size: int, *, entered: int = 0, exited: int = 0, step: int | None = None
) -> None:
    """A partition of membership says what it holds, as of the last marker."""
    newest = markers_of(bench)[-1]
    said = Held(
        space_id=SPACE,
        partition=partition,
        partitions=PARTITIONS,
        activation_id="act_1",
        step=newest.step if step is None else step,
        size=size,
        entered=entered,
        exited=exited,
    )
    bench.handle(bench.record(catalog.RESULTS, codec.encode(said), key=SPACE.encode()))


def markers_of(bench: Bench) -> list[ActivationStep]:
    return [one for one in steps(bench.outs) if isinstance(one, ActivationStep)]


def told(bench: Bench) -> list[tuple[str, bool]]:
    return [(one.marker, one.resync) for one in markers_of(bench)]


def restarted(bench: Bench) -> Bench:
    twin = bench.restart()
    twin.outs, twin.numbers, twin.offsets = bench.outs, bench.numbers, bench.offsets
    return twin


@pytest.mark.parametrize("resync", [True, False])
def test_it_is_held_until_the_size_is_reached_and_goes_on_after_a_restart(bench: Bench, *, resync: bool) -> None:
    activate(bench, perform_resync=resync)
    assert told(bench) == [("waiting", resync)]
    hold(bench, 0, 6, entered=6)
    hold(bench, 1, 3, entered=2, exited=1)
    bench = restarted(bench)

    assert (status(bench).state, status(bench).counters.pending, status(bench).lag_records) == (WAITS, 9, 9)
    assert status(bench).totals.pending_count == 9
    hold(bench, 0, 7, entered=7)

    assert told(bench) == [("waiting", resync), ("resumed", resync)]
    assert (status(bench).state, status(bench).counters.pending) == ("running", 10)
    hold(bench, 0, 9, entered=9)  # said before it was told to go on
    assert status(bench).counters.pending == 10
    say(bench, routed(3, changes=9), routed(4, changes=2, dropped=1, partition=1))
    say(bench, delivered(2, count=10))
    counters = status(bench).counters
    assert (counters.changes, counters.dropped, counters.delivered, counters.pending) == (11, 1, 10, 0)


def test_what_it_would_not_be_told_is_not_pending(bench: Bench) -> None:
    activate(bench, activation_type="audience_exited")

    hold(bench, 0, 6, entered=6, exited=2)

    assert status(bench).counters.pending == 2


def test_an_audience_that_shrinks_later_is_delivered_all_the_same(bench: Bench) -> None:
    activate(bench)
    hold(bench, 0, 10, entered=10)
    bench.made("activations.pause", {"activation": "act"})

    bench.made("activations.resume", {"activation": "act"})

    assert told(bench)[1:] == [("resumed", True), ("paused", False), ("resumed", False)]


def test_paused_while_it_waits_it_waits_on_when_it_is_resumed(bench: Bench) -> None:
    activate(bench)
    hold(bench, 0, 6, entered=6)
    bench.made("activations.pause", {"activation": "act"})
    assert (status(bench).state, status(bench).counters.pending) == ("paused", 0)
    hold(bench, 0, 11, entered=11, step=markers_of(bench)[0].step)  # said before it was paused

    bench.made("activations.resume", {"activation": "act"})

    assert told(bench) == [("waiting", True), ("paused", False), ("waiting", True)]
    assert status(bench).state == WAITS
    hold(bench, 0, 11, entered=11)
    assert status(bench).state == "running"


def test_a_resync_while_it_waits_is_part_of_what_follows(bench: Bench) -> None:
    activate(bench, perform_resync=False)
    bench.made("activations.resync", {"activation": "act"})
    bench.made("activations.update", {"activation": "act", "category_id": "c"})

    hold(bench, 0, 10, entered=10, step=markers_of(bench)[-1].step)

    assert told(bench) == [("waiting", False), ("waiting", True), ("updated", False), ("resumed", True)]


def test_a_destination_that_takes_smaller_audiences_now_gets_it_at_once(bench: Bench) -> None:
    activate(bench)
    hold(bench, 2, 6, entered=6)

    bench.made("destinations.update", {"destination": "d", "limits": {"members_min": 6}})

    assert told(bench)[-1] == ("resumed", True)
    assert status(bench).state == "running"


def test_nothing_is_redriven_while_it_waits(bench: Bench) -> None:
    activate(bench)

    reply = bench.send("activations.redrive", {"activation": "act", "identifiers": ["u1"]})

    assert codes_of(reply) == [codes.ACTIVATION_NOT_RUNNING.code]


@pytest.mark.parametrize("verb", ["delete", "update"])
def test_one_that_ends_while_it_waits_has_nothing_pending(bench: Bench, verb: str) -> None:
    activate(bench)
    hold(bench, 0, 6, entered=6)

    bench.made(f"activations.{verb}", {"activation": "act"} | ({"end_date": "2025-12-31"} if verb == "update" else {}))

    assert status(bench).counters.pending == 0
    assert told(bench)[1][0] == "ended"
    hold(bench, 0, 20, entered=20)
    assert [one for one, _ in told(bench)].count("resumed") == 0

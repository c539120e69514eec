"""Full refreshes that would remove too much: who is held, who waits, and what decides it."""

import pytest

from contracts import codes
from contracts.messages.published import Import, Removal
from contracts.messages.steps import ImportAbortStep, ImportApplyStep, ImportWeighStep
from contracts.records import Out
from tests.unit.domain.control.bench import PARTITIONS, START_MS, Bench, codes_of, config, imports, requests, steps
from tests.unit.domain.control.importing import announce, applied, finish, staged, version, weighed

HOUR_MS = 3_600_000
A, B = "aud_a", "aud_b"


@pytest.fixture
def bench() -> Bench:
    return told()


def told(**changes: object) -> Bench:
    """Two audiences, a guarded full feed, an unguarded one, and an incremental one."""
    bench = Bench(configured=config(**changes)).space()
    bench.made(
        "audiences.create",
        {"id": A, "name": "a", "id_type": "kuid"},
        {"id": B, "name": "b", "id_type": "kuid"},
    )
    feed = {"id_type": "kuid", "mode": "replace"}
    bench.made(
        "feeds.create",
        {"id": "guarded", "name": "g", **feed, "source": {"kind": "s3", "prefix": "g/"}, "remove_share_max": 0.29},
        {"id": "plain", "name": "p", **feed, "source": {"kind": "s3", "prefix": "p/"}},
        {"id": "incr", "name": "i", **feed, "mode": "append", "lookback_days": 30, "source": {"kind": "s3", "prefix": "i/"}},
    )  # fmt: skip
    return bench


def stage(
    bench: Bench, feed: str = "guarded", *, hour: int = 1, audiences: tuple[str, ...] = (A,)
) -> tuple[str, list[Out]]:
    """An object, announced at that hour of the day, has been read and staged; its import and what followed."""
    name = {"guarded": "g", "plain": "p", "incr": "i"}[feed]
    outs = announce(
        bench,
        version(f"{name}/{hour}-{len(audiences)}{audiences[0]}"),
        feed=feed,
        event_time_ms=START_MS + hour * HOUR_MS,
    )
    (asked,) = requests(outs)
    finish(bench, asked.import_id, audiences=audiences)
    return asked.import_id, bench.result(*(staged(asked.import_id, n) for n in range(PARTITIONS)))


def weigh(bench: Bench, import_id: str, removals: dict[str, tuple[int, int]]) -> list[Out]:
    """The partitions answer; all members live on the first."""
    nobody = dict.fromkeys(removals, (0, 0))
    return bench.result(weighed(import_id, 0, removals), *(weighed(import_id, n, nobody) for n in range(1, PARTITIONS)))


def held(bench: Bench, *, hour: int = 1, audiences: tuple[str, ...] = (A,), over: tuple[str, ...] = (A,)) -> str:
    """An import that is held for the audiences `over`."""
    import_id, _ = stage(bench, hour=hour, audiences=audiences)
    outs = weigh(bench, import_id, {name: (30 if name in over else 29, 100) for name in audiences})
    assert states(outs)[0] == "held"
    return import_id


def states(outs: list[Out]) -> list[str]:
    return [one.state for one in imports(outs)]


def applies(outs: list[Out]) -> list[str]:
    """The imports that are applied, in order."""
    return [one.import_id for one in steps(outs) if isinstance(one, ImportApplyStep)]


def last(bench: Bench, import_id: str) -> Import:
    return bench.imports()[import_id]


def test_a_guarded_import_is_weighed_on_all_partitions_first(bench: Bench) -> None:
    import_id, outs = stage(bench)

    weighs = steps(outs, partition=None)
    assert [type(one) for one in weighs] == [ImportWeighStep] * PARTITIONS
    assert isinstance(weighs[0], ImportWeighStep)
    assert (weighs[0].import_id, weighs[0].reading_id, weighs[0].audiences) == (import_id, "read_1", [A])


@pytest.mark.parametrize(
    ("by_partition", "is_held"),
    [
        ([(10, 40), (10, 30), (9, 30)], False),  # 29 of 100
        ([(10, 40), (10, 30), (10, 30)], True),
        ([(0, 100), (0, 0), (0, 0)], False),
        ([(0, 0), (0, 0), (0, 0)], False),  # nobody was there
        ([(30, 30), (0, 30), (0, 60)], False),  # all of one partition, a quarter of all
        ([(1, 1), (0, 0), (0, 0)], True),
    ],
)
def test_the_share_is_that_of_all_partitions_together(
    bench: Bench, by_partition: list[tuple[int, int]], is_held: bool
) -> None:
    import_id, _ = stage(bench)

    outs = bench.result(*(weighed(import_id, n, {A: one}) for n, one in enumerate(by_partition)))

    assert applies(outs) == ([] if is_held else [import_id])
    assert states(outs) == (["held"] if is_held else [])


def test_what_is_held_says_for_which_audiences(bench: Bench) -> None:
    import_id = held(bench, audiences=(A, B))

    record = last(bench, import_id)
    assert record.removals == {A: Removal(removes=30, size=100)}
    assert (record.counts.rows, record.error) == (9, None)


def test_an_unguarded_import_is_not_weighed(bench: Bench) -> None:
    import_id, outs = stage(bench, "plain")

    assert applies(outs) == [import_id]


def test_approved_it_is_applied(bench: Bench) -> None:
    import_id = held(bench)

    outs = bench.handle(bench.command("imports.approve", {"import": import_id}))

    assert applies(outs) == [import_id]
    (shown,) = imports(outs)
    assert (shown.state, shown.removals) == ("staged", {})
    bench.result(*(applied(import_id, n) for n in range(PARTITIONS)))
    assert last(bench, import_id).state == "applied"
    assert codes_of(bench.send("imports.approve", {"import": import_id})) == [codes.IMPORT_NOT_HELD.code]


def test_rejected_it_is_forgotten(bench: Bench) -> None:
    import_id = held(bench)

    outs = bench.handle(bench.command("imports.reject", {"import_id": import_id}))

    assert [type(one) for one in steps(outs)] == [ImportAbortStep]
    record = last(bench, import_id)
    assert (record.state, record.error and record.error.code) == ("aborted", codes.IMPORT_REJECTED.code)
    assert not [key for key in bench.state if "/import/" in key]


def test_a_trial_decides_nothing(bench: Bench) -> None:
    import_id = held(bench)

    assert not bench.send("imports.approve", {"import": import_id}, validate_only=True).errors

    assert last(bench, import_id).state == "held"


def test_it_lapses_by_the_time_of_a_manual_clock(bench: Bench) -> None:
    import_id = held(bench)

    bench.now_ms += 100 * HOUR_MS
    bench.handle()
    bench.advance("2026-01-03T23:59:59.999Z")
    assert last(bench, import_id).state == "held"
    bench.advance("2026-01-04")

    record = last(bench, import_id)
    assert (record.state, record.error and record.error.code) == ("aborted", codes.IMPORT_HOLD_LAPSED.code)


def test_it_lapses_by_the_machine_s_clock_else() -> None:
    bench = Bench()
    bench.made("spaces.create", {"clock": "system"})
    bench.made("audiences.create", {"id": A, "name": "a", "id_type": "kuid"})
    source = {"kind": "s3", "prefix": "g/"}
    bench.made("feeds.create", {"id": "guarded", "name": "g", "id_type": "kuid", "mode": "replace", "source": source, "remove_share_max": 0})  # fmt: skip
    import_id = held(bench)

    assert bench.shard.due_ms() == START_MS + 72 * HOUR_MS
    bench.now_ms = START_MS + 72 * HOUR_MS
    bench.handle()

    assert last(bench, import_id).state == "aborted"


@pytest.mark.parametrize("decision", ["approve", "reject", "lapse"])
def test_later_appends_of_its_audiences_wait_behind_it(bench: Bench, decision: str) -> None:
    import_id = held(bench, hour=2)
    before, outs = stage(bench, "incr", hour=1)
    assert applies(outs) == [before]
    other, outs = stage(bench, "incr", hour=3, audiences=(B,))
    assert applies(outs) == [other]
    third, outs = stage(bench, "incr", hour=4, audiences=(A, B))
    assert applies(outs) == []
    fourth, outs = stage(bench, "incr", hour=3)
    assert applies(outs) == []
    assert {last(bench, one).waits_for for one in (third, fourth)} == {import_id}

    numbers = bench.numbers
    bench = bench.restart()
    bench.numbers = numbers
    if decision == "lapse":
        bench.advance("2026-01-10")
    else:
        bench.send(f"imports.{decision}", {"import": import_id})

    assert applies(bench.outs) == [*([import_id] if decision == "approve" else []), fourth, third]
    assert {last(bench, one).waits_for for one in (third, fourth)} == {None}


@pytest.mark.parametrize("feed", ["plain", "guarded"])
def test_a_later_full_refresh_takes_its_place(bench: Bench, feed: str) -> None:
    older = held(bench, hour=1)
    waiting, _ = stage(bench, "incr", hour=2)

    if feed == "plain":
        newer, outs = stage(bench, "plain", hour=3)
        assert applies(outs) == [newer, waiting]
    else:  # it is held itself: at most one is for an audience
        newer = held(bench, hour=3)
        assert applies(bench.outs) == [waiting]

    record = last(bench, older)
    assert (record.state, record.error and record.error.code) == ("superseded", codes.IMPORT_SUPERSEDED.code)
    assert [type(one) for one in steps(bench.outs)].count(ImportAbortStep) == 1


def test_an_older_one_that_comes_late_is_not_held_beside_it(bench: Bench) -> None:
    newer = held(bench, hour=3)

    older, _ = stage(bench, hour=1)
    weigh(bench, older, {A: (99, 100)})

    assert (last(bench, older).state, last(bench, newer).state) == ("superseded", "held")


def test_a_later_one_of_some_of_its_audiences_leaves_it_the_others(bench: Bench) -> None:
    guarded_for_a = held(bench, hour=1, audiences=(A, B))
    newer, outs = stage(bench, "plain", hour=2, audiences=(A,))

    assert applies(outs) == [newer, guarded_for_a]
    apply = next(one for one in steps(outs) if isinstance(one, ImportApplyStep) and one.import_id == guarded_for_a)
    assert apply.audiences == [B]

    guarded_for_b = held(bench, hour=3, audiences=(A, B), over=(B,))
    stage(bench, "plain", hour=4, audiences=(A,))
    assert last(bench, guarded_for_b).state == "held"


def test_what_is_weighed_stays_as_it_was_until_it_is_decided(bench: Bench) -> None:
    first, outs = stage(bench, hour=1)
    second, more = stage(bench, "plain", hour=2)
    third, still_more = stage(bench, hour=3)
    assert not applies(outs + more + still_more)

    outs = weigh(bench, first, {A: (1, 100)})

    assert applies(outs) == [first, second]
    assert [one.import_id for one in steps(outs) if isinstance(one, ImportWeighStep)] == [third]


def test_too_many_behind_it_make_it_lapse_early() -> None:
    bench = told(behind_max=2)
    import_id = held(bench, hour=1)
    waiting = [stage(bench, "incr", hour=hour)[0] for hour in (2, 3)]
    assert not applies(bench.outs)

    fourth, outs = stage(bench, "incr", hour=4)

    assert applies(outs) == [*waiting, fourth]
    record = last(bench, import_id)
    assert (record.state, record.error and record.error.code) == ("aborted", codes.IMPORT_HOLD_LAPSED.code)


def test_an_audience_deleted_meanwhile_is_no_more(bench: Bench) -> None:
    import_id = held(bench, audiences=(A, B))
    bench.made("audiences.delete", {"name": "a"})

    outs = bench.handle(bench.command("imports.approve", {"import": import_id}))

    assert [one.audiences for one in steps(outs) if isinstance(one, ImportApplyStep)] == [[B]]


def test_a_held_import_keeps_its_space(bench: Bench) -> None:
    held(bench)

    assert codes_of(bench.send("spaces.delete", {})) == [codes.IN_USE.code]

"""The rules of engine.md §1, each as facts: what a day's files and commands leave in list audiences."""

from typing import NamedTuple

import pytest

from tests.unit.domain.membership.world import DAY_MS, Mode, World, day_ms, ids, rows


class File(NamedTuple):
    """One upload to audience `a` on a day, and the size wanted after it; no mode: only time passes."""

    day: int
    mode: Mode | None
    first: int
    last: int
    size: int


# shared/reference/audience-studio.md §5, "Worked examples", lookback 10 days.
GUIDE: dict[str, list[File]] = {
    "overwrite": [File(1, "replace", 1, 100, 100), File(2, "replace", 51, 75, 25), File(40, None, 0, 0, 25)],
    "append": [
        File(1, "append", 1, 50, 50),
        File(2, "append", 51, 75, 75),
        File(3, "append", 76, 100, 100),
        File(10, None, 0, 0, 100),
        File(11, None, 0, 0, 50),
        File(12, None, 0, 0, 25),
        File(13, None, 0, 0, 0),
    ],
    "scenario 1": [
        File(1, "append", 1, 50, 50),
        File(2, "append", 51, 75, 75),
        File(3, "append", 76, 100, 100),
        File(4, "replace", 201, 300, 100),
        File(30, None, 0, 0, 100),
    ],
    "scenario 2": [
        File(1, "replace", 1, 100, 100),
        File(2, "append", 101, 125, 125),
        File(3, "append", 126, 150, 150),
        File(4, "append", 151, 175, 175),
    ],
    "scenario 3": [
        File(1, "replace", 1, 100, 100),
        File(9, "append", 101, 125, 125),
        File(10, "append", 126, 150, 150),
        File(11, "append", 151, 175, 75),
    ],
}


@pytest.mark.parametrize("name", GUIDE)
def test_the_guide(world: World, name: str) -> None:
    for number, file in enumerate(GUIDE[name]):
        world.tick(file.day)
        if file.mode is not None:
            named = rows("a", ids(file.first, file.last))
            lookback = 10 if file.mode == "append" else None
            world.upload(f"imp_{number}", file.mode, named, on_day=file.day, lookback_days=lookback)
        assert world.size("a") == len(world.members.get("a", ())) == file.size, file


def test_an_append_after_the_base_is_too_old_takes_it_out_at_once(world: World) -> None:
    world.upload("imp_f", "replace", rows("a", ids(1, 9)), on_day=1)
    world.tick(15)
    (applied, *_) = world.upload("imp_a", "append", rows("a", ids(9, 10)), on_day=15, lookback_days=10)
    assert world.members["a"] == set(ids(9, 10))
    assert not applied.expired


def test_the_base_stays_out_when_the_append_has_left(world: World) -> None:
    world.upload("imp_f", "replace", rows("a", ids(1, 9)), on_day=1)
    world.upload("imp_a", "append", rows("a", ids(9, 10)), on_day=1, lookback_days=3, event_time_ms=day_ms(1) + 1)
    world.tick(4)
    world.tick(40)
    assert world.size("a") == 0


def test_with_two_lookbacks_the_shorter_takes_the_base(world: World) -> None:
    world.upload("imp_f", "replace", rows("a", ids(1, 1)), on_day=1)
    world.upload("imp_a", "append", rows("a", ids(2, 2)), on_day=2, lookback_days=30)
    world.upload("imp_b", "append", rows("a", ids(3, 3)), on_day=2, lookback_days=5, event_time_ms=day_ms(2) + 1)
    world.tick(6)
    assert world.members["a"] == set(ids(2, 3))


def test_the_latest_layer_keeps_an_identity(world: World) -> None:
    """Rule 3."""
    for number in (1, 5):
        world.tick(number)
        world.upload(f"imp_{number}", "append", rows("a", ids(1, 1)), on_day=number, lookback_days=10)
    world.tick(11)
    assert world.size("a") == 1
    world.tick(15)
    assert world.size("a") == 0


class Late(NamedTuple):
    """An import after a full refresh {u1} of day 5 12:00 key k sequencer 0A id imp_m, and who is in afterwards."""

    mode: Mode
    day: int
    hour: int
    key: str
    sequencer: str | None
    import_id: str
    superseded: bool
    members: set[str]


U1, U2 = ids(1, 2)
LATE = [
    Late("replace", 4, 23, "k", "FF", "imp_z", True, {U1}),
    Late("append", 4, 23, "k", "FF", "imp_z", True, {U1}),
    Late("replace", 5, 11, "k", "FF", "imp_z", True, {U1}),
    Late("append", 5, 11, "k", "FF", "imp_z", True, {U1}),
    Late("append", 5, 13, "k", "00", "imp_a", False, {U1, U2}),
    Late("replace", 5, 13, "k", "00", "imp_a", False, {U2}),
    Late("replace", 6, 0, "k", "00", "imp_a", False, {U2}),
    Late("replace", 5, 12, "k", "09", "imp_z", True, {U1}),
    Late("replace", 5, 12, "k", "0B", "imp_a", False, {U2}),
    Late("replace", 5, 12, "k", "0a00", "imp_z", False, {U2}),
    Late("replace", 5, 12, "k", "0a0001", "imp_a", False, {U2}),
    Late("replace", 5, 12, "k", "0A", "imp_a", True, {U1}),
    Late("replace", 5, 12, "k", "0a", "imp_a", True, {U1}),
    Late("replace", 5, 12, "k", "0A00", "imp_a", True, {U1}),
    Late("remove", 4, 0, "k", "00", "imp_a", False, {U1}),
]


@pytest.mark.parametrize("late", LATE, ids=lambda late: str(late[:-1]))
def test_imports_are_compared_with_imports(world: World, late: Late) -> None:
    """Rules 1 and 2: day, event time, sequencer of one key, import id."""
    world.tick(6)
    noon = day_ms(5) + DAY_MS // 2
    world.upload("imp_m", "replace", rows("a", [U1]), on_day=5, event_time_ms=noon, key="k", sequencer="0A")
    applied = world.upload(
        late.import_id,
        late.mode,
        rows("a", [U2]),
        on_day=late.day,
        event_time_ms=day_ms(late.day) + late.hour * 3_600_000,
        key=late.key,
        sequencer=late.sequencer,
        lookback_days=10 if late.mode == "append" else None,
    )
    assert {tuple(one.superseded) for one in applied} == {("a",) if late.superseded else ()}
    assert world.members["a"] == late.members


def test_a_late_full_refresh_leaves_newer_appends(world: World) -> None:
    world.tick(5)
    world.upload("imp_a", "append", rows("a", [U1]), on_day=5, lookback_days=10)
    world.upload("imp_f", "replace", rows("a", [U2]), on_day=4)
    assert world.members["a"] == {U1, U2}
    world.tick(14)  # the base: day 4 + 10, since an append is on top of it
    assert world.members["a"] == {U1}


def test_supersession_is_judged_for_each_audience(world: World) -> None:
    world.tick(3)
    world.upload("imp_3", "replace", rows("a", [U1]), on_day=3)
    both = [*rows("a", [U2]), *rows("b", [U2])]
    applied = world.upload("imp_2", "replace", both, on_day=2)
    assert {tuple(one.superseded) for one in applied} == {("a",)}
    assert (world.members["a"], world.members["b"]) == ({U1}, {U2})


def test_a_full_refresh_touches_what_it_names_on_every_partition(world: World) -> None:
    """Rule 1: no rows on a partition means an empty base there; an audience that it doesn't name stays."""
    world.upload("imp_1", "replace", [*rows("a", ids(1, 60)), *rows("b", ids(1, 60))], on_day=1)
    world.upload("imp_2", "replace", rows("a", ["u000061"]), on_day=2)
    assert world.members["a"] == {"u000061"}
    assert (world.size("a"), world.size("b")) == (1, 60)


def test_a_full_refresh_takes_what_commands_added_before(world: World) -> None:
    world.patch("a", "add", [U1])
    world.upload("imp_1", "replace", rows("a", [U2]), on_day=1)
    assert world.members["a"] == {U2}


def test_commands(world: World) -> None:
    """Rule 6, and what replace and clear leave."""
    assert world.patch("a", "add", [U1, U2, U1]) == (2, 0)
    assert world.patch("a", "add", [U1]) == (0, 0)
    assert world.patch("a", "remove", [U1, "unknown"]) == (0, 1)
    assert world.patch("a", "remove", [U1]) == (0, 0)
    assert world.patch("a", "replace", [U1]) == (1, 1)
    assert world.members["a"] == {U1}
    assert world.patch("a", "clear") == (0, 1)
    assert world.size("a") == 0


@pytest.mark.parametrize("by_file", [False, True])
def test_remove_takes_out_of_every_layer(world: World, *, by_file: bool) -> None:
    world.upload("imp_f", "replace", rows("a", ids(1, 3)), on_day=1)
    world.upload("imp_a", "append", rows("a", ids(2, 4)), on_day=2, lookback_days=10)
    world.patch("a", "add", ids(1, 5))
    if by_file:
        (first, *others) = world.upload("imp_o", "remove", rows("a", ids(2, 4)), on_day=1)
        assert first.exited + sum(one.exited for one in others) == 3
    else:
        world.patch("a", "remove", ids(2, 4))
    assert world.members["a"] == set(ids(1, 1) + ids(5, 5))


@pytest.mark.parametrize("operation", ["clear", "replace"])
def test_what_was_opened_before_a_clear_is_undone_and_what_is_older_stays_superseded(
    world: World, operation: str
) -> None:
    world.tick(9)
    world.open("imp_8", "append", on_day=8, lookback_days=9)
    world.open("imp_7", "replace", on_day=7)
    world.patch("a", "clear") if operation == "clear" else world.patch("a", "replace", [U1])
    left = set() if operation == "clear" else {U1}
    for import_id in ("imp_8", "imp_7"):
        world.read(import_id, "r", rows("a", [U2]))
        world.apply(import_id, "r", ["a"])
    world.upload("imp_6", "replace", rows("a", [U2]), on_day=6)
    assert world.members.get("a", set()) == left
    world.upload("imp_9", "append", rows("a", [U2]), on_day=9, lookback_days=9)
    assert world.members["a"] == left | {U2}
    world.tick(18)  # the replace of day 9 has an append on top: it leaves with it
    assert world.size("a") == 0


def test_an_append_that_has_already_left_does_nothing_and_says_so(world: World) -> None:
    """Rule 10: and its base doesn't begin to age."""
    world.upload("imp_f", "replace", rows("a", [U1]), on_day=1)
    world.tick(12)
    applied = world.upload("imp_a", "append", rows("a", [U2]), on_day=2, lookback_days=10)
    assert all(one.expired and not one.superseded for one in applied)
    world.tick(60)
    assert world.members["a"] == {U1}
    (on_time, *_) = world.upload("imp_b", "append", rows("b", [U2]), on_day=51, lookback_days=10)
    assert not on_time.expired


def test_an_unknown_or_deleted_audience_is_passed_over(world: World) -> None:
    """Rule 7, when the audience goes between the reading and its application."""
    world.open("imp_1", "replace", on_day=1)
    world.read("imp_1", "r", [*rows("a", [U1]), *rows("b", [U1])])
    world.delete("b")
    applied = world.apply("imp_1", "r", ["a", "b", "never"])
    assert sum(one.entered for one in applied) == 1
    assert world.members == {"a": {U1}}


def test_deletion_exits_everyone(world: World) -> None:
    """Rule 8."""
    world.patch("a", "add", ids(1, 5))
    world.forget_changes()
    world.delete("a")
    assert world.changed("a") == {"entered": set(), "exited": set(ids(1, 5))}
    assert world.causes("a") == {("deletion", "a")}
    assert world.sized("a") == 0
    assert world.patch("a", "add", [U1]) == (0, 0)


def test_a_step_changes_nothing_twice(world: World) -> None:
    """Rule 9: who stays in through a full refresh is not in its changes."""
    world.upload("imp_1", "replace", rows("a", ids(1, 10)), on_day=1)
    world.forget_changes()
    applied = world.upload("imp_2", "replace", rows("a", ids(6, 12)), on_day=2)
    assert world.changed("a") == {"entered": set(ids(11, 12)), "exited": set(ids(1, 5))}
    assert (sum(one.entered for one in applied), sum(one.exited for one in applied)) == (2, 5)


def test_causes(world: World) -> None:
    world.upload("imp_1", "append", rows("a", [U1]), on_day=1, lookback_days=1)
    assert world.causes("a") == {("import", "imp_1")}
    world.forget_changes()
    world.patch("a", "add", [U2])
    assert world.causes("a") == {("members", f"imp_p{world.step}")}
    world.forget_changes()
    world.tick(2)
    assert world.causes("a") == {("expiry", f"step-{world.step}")}


def test_a_new_audience_has_size_0_on_every_partition(world: World) -> None:
    assert world.sized("a") == world.partitions
    assert world.size("a") == 0
    world.define("a")
    assert world.sized("a") == world.partitions


def test_batches_of_at_most_a_thousand(world: World) -> None:
    world.upload("imp_1", "replace", rows("a", ids(1, 7_000)), on_day=1)
    assert world.size("a") == 7_000
    sizes = [len(change["members"]) for change in world.changes]
    assert max(sizes) == 1_000
    assert len(sizes) == sum(-(-size // 1_000) for size in map(len, world.scatter(ids(1, 7_000))))


def test_the_longest_identifiers_fit_a_record() -> None:
    world = World(partitions=1)
    world.define("a")
    world.patch("a", "add", [f"{number:04d}" + '"\\' * 126 for number in range(1_000)])
    (out,) = [out for out in world.outs[0] if b"entered" in (out.value or b"") and b"members" in (out.value or b"")][:1]
    assert len(out.value or b"") < 1 << 20

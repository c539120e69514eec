"""The door of membership: what stops it, composed audiences, snapshots, activations, and the order of what it writes."""

from typing import Any

import pytest

from contracts.catalog import CHANGES, INPUT
from contracts.codec import Headers, encode, header
from contracts.messages.results import Counted, Held, Ticked
from contracts.messages.steps import CountStep, RedriveStep
from contracts.records import Record
from services.domain.membership.broken_log import BrokenLog
from services.domain.membership.partition import MembershipPartition
from services.membership.fold import LETTER
from tests.unit.domain.membership.wire import headers_of, rows_headers, step_headers
from tests.unit.domain.membership.world import World, day_ms

IDS = [f"u{number:06d}" for number in range(1, 31)]


COMPOSED: list[tuple[str | dict[str, Any], list[int]]] = [
    ("a", [0, 1, 2]),
    ({"and": ["a", "b"]}, [2]),
    ({"or": ["a", "b"]}, [0, 1, 2, 3, 4]),
    ({"and": ["a", {"not": "b"}]}, [0, 1]),
    ({"not": "a"}, [3, 4, 5]),
    ({"not": {"or": ["a", "b"]}}, [5]),
    ({"and": [{"not": "a"}, {"not": "b"}]}, [5]),
    ({"not": {"not": "a"}}, [0, 1, 2]),
    ("gone", []),
    ({"not": "gone"}, [0, 1, 2, 3, 4, 5]),
]


@pytest.mark.parametrize(("form", "members"), COMPOSED, ids=str)
@pytest.mark.parametrize("defined_first", [False, True])
def test_composed(world: World, form: str | dict[str, Any], members: list[int], *, defined_first: bool) -> None:
    """With a = {0, 1, 2}, b = {2, 3, 4}, c = {5}: known are 0 to 5; the same whether parts change before or after."""
    if defined_first:
        world.compose("x", form)
    world.patch("a", "add", IDS[0:3])
    world.patch("b", "add", IDS[2:5])
    world.patch("c", "add", IDS[5:6])
    if not defined_first:
        world.compose("x", form)
    assert world.members.get("x", set()) == {IDS[number] for number in members}
    assert world.size("x") == len(members)


def test_composed_of_composed_follows_in_order(world: World) -> None:
    world.compose("z", {"and": ["y", "c"]})
    world.compose("y", {"or": ["a", "b"]})
    world.patch("c", "add", IDS[:9])
    world.forget_changes()
    world.patch("a", "add", IDS[:3])
    assert world.members["z"] == set(IDS[:3])
    cause = ("composition", f"imp_p{world.step}")
    assert world.causes("y") == world.causes("z") == {cause}
    per_step: dict[int, list[str]] = {}
    for out in world.outs[0]:
        if out.topic == CHANGES:
            per_step.setdefault(int((header(out.headers, "ce_id") or "").split(".")[1]), []).append(
                header(out.headers, "ce_subject") or ""
            )
    assert per_step[world.step] == ["a", "y", "z"]


def test_a_redefinition_is_its_own_cause(world: World) -> None:
    world.patch("a", "add", IDS[:3])
    world.patch("b", "add", IDS[3:5])
    world.compose("x", "a")
    world.compose("y", "x")
    world.forget_changes()
    world.compose("x", "b")
    assert world.causes("x") == {("definition", "x")}
    assert world.causes("y") == {("composition", "x")}
    assert world.members["y"] == set(IDS[3:5])
    world.delete("x")
    assert world.members["x"] == world.members["y"] == set()


def test_not_is_within_those_that_ever_were_members(world: World) -> None:
    """A row of an aborted import makes nobody known; an exit keeps one known."""
    world.compose("x", {"not": "a"})
    world.open("imp_1", "replace", on_day=1)
    world.read("imp_1", "r", [(IDS[0], "a")])
    world.abort("imp_1")
    world.patch("a", "add", IDS[1:2])
    world.patch("a", "remove", IDS[1:2])
    assert world.members["x"] == {IDS[1]}


def test_who_enters_and_leaves_a_part_in_one_step_leaves_no_trace(world: World) -> None:
    world.compose("x", {"or": ["a", "b"]})
    world.patch("a", "add", IDS[:1])
    world.upload("imp_1", "append", [(IDS[0], "b")], on_day=1, lookback_days=1)
    world.forget_changes()
    world.tick(2)
    assert world.changed("b")["exited"] == {IDS[0]}
    assert world.changed("x") == {"entered": set(), "exited": set()}


def test_snapshots(world: World) -> None:
    world.patch("a", "add", IDS)
    world.snapshot("snap_1", "a")
    listed = [member for snapshot in world.snapshots for member in snapshot["members"]]
    assert sorted(listed) == IDS
    assert {(s["snapshot_id"], s["activation_id"], s["step"]) for s in world.snapshots} == {
        ("snap_1", None, world.step)
    }
    world.snapshot("snap_2", "unknown")
    assert {snapshot["snapshot_id"] for snapshot in world.snapshots} == {"snap_1"}


def test_members_are_counted_where_they_live(world: World) -> None:
    world.patch("a", "add", IDS)
    world.patch("a", "remove", IDS[:1])
    world.results.clear()
    for audience in ("a", "b", "unknown"):
        world.take(CountStep(**world.next(), audience_id=audience))
    said = [(one.partition, one.step, one.size) for one in world.results if isinstance(one, Counted)]
    assert len(said) == 3 * world.partitions
    sizes = [sum(size for _, at, size in said if at == step) for step in sorted({at for _, at, _ in said})]
    assert sizes == [len(IDS) - 1, 0, 0]


def test_a_start_with_resync_is_followed_by_the_members(world: World) -> None:
    world.patch("a", "add", IDS)
    world.activation("started", "a", resync=True)
    assert [kind for kind, _ in world.markers] == ["activation.started"] * world.partitions
    assert {snapshot["activation_id"] for snapshot in world.snapshots} == {"act_1"}
    assert {snapshot["snapshot_id"] for snapshot in world.snapshots} == {f"act_1.{world.step}"}
    assert sum(len(snapshot["members"]) for snapshot in world.snapshots) == len(IDS)
    kinds = [header(out.headers, "ce_type") for out in world.outs[0] if out.topic == CHANGES]
    assert kinds[-2:] == ["activation.started", "audience.snapshot"]


def test_a_resumed_activation_gets_the_difference(world: World) -> None:
    world.patch("a", "add", IDS[:4])
    world.activation("started", "a", resync=True)
    world.activation("paused", "a")
    world.patch("a", "remove", IDS[:2])
    world.activation("paused", "a")
    world.activation("updated", "a")
    world.patch("a", "add", IDS[4:6])
    world.activation("resumed", "a")
    said = {
        kind: {m for d in world.differences if d["change"] == kind for m in d["members"]}
        for kind in ("entered", "exited")
    }
    assert said == {"entered": set(IDS[4:6]), "exited": set(IDS[:2])}
    assert {difference["activation_id"] for difference in world.differences} == {"act_1"}


@pytest.mark.parametrize(
    ("paused", "on_end", "removed"), [(False, "remove", 3), (True, "remove", 2), (True, "keep", 0)]
)
def test_an_end_with_removal_takes_back_what_the_destination_has(
    world: World, *, paused: bool, on_end: str, removed: int
) -> None:
    world.patch("a", "add", IDS[:2])
    world.activation("started", "a")
    if paused:
        world.activation("paused", "a")
    world.patch("a", "add", IDS[2:3])
    world.activation("ended", "a", on_end=on_end)
    assert {difference["change"] for difference in world.differences} <= {"exited"}
    assert {member for d in world.differences for member in d["members"]} == set(IDS[:removed])
    kinds = [header(out.headers, "ce_type") for outs in world.outs for out in outs if out.topic == CHANGES]
    assert kinds[-1] == "activation.ended"


def test_a_tick_is_answered_even_if_nothing_is_due(world: World) -> None:
    world.tick(1)
    world.tick(1)
    assert [(r.step, r.at_ms) for r in world.results if isinstance(r, Ticked)] == [
        (step, day_ms(1)) for step in (world.step - 1, world.step) for _ in range(world.partitions)
    ]


def record(kind: str, value: bytes, headers: Headers | None = None) -> Record:
    return Record(INPUT, 0, 7, 0, b"acme", value, headers_of(kind, "x") if headers is None else headers)


STEP = b'{"type":"snapshot","space_id":"acme","step":%d,"at_ms":0,"snapshot_id":"s","audience_id":"a"}'


@pytest.mark.parametrize(
    "records",
    [
        [record("step", b"not json")],
        [record("step", b"{}")],
        [record("step", b'{"type":"definition","space_id":"acme","step":1,"at_ms":0}')],
        [record("step", STEP % 2), record("step", STEP % 2)],
        [record("step", STEP % 2), record("step", STEP % 1)],
        [record("step", b'{"type":"import-apply","space_id":"acme","step":1,"at_ms":0,"import_id":"i","reading_id":"r","audiences":[]}')],
        [record("step", b'{"type":"definition","space_id":"acme","step":1,"at_ms":0,"audience_id":"a","id_type":"kuid","kind":"other"}')],
        [record("step", b'{"type":"definition","space_id":"acme","step":1,"at_ms":0,"audience_id":"a","id_type":"kuid","kind":"composed"}')],
        [record("step", b'{"type":"definition","space_id":"acme","step":1,"at_ms":0,"audience_id":"a","id_type":"kuid","kind":"composed","expression":{"not":{"audience":"a"}}}')],
        [record("seal", b"{}")],
        [record("other", b"{}")],
        [record("rows", b"", headers_of("rows", "x"))],
    ],
)  # fmt: skip
def test_a_log_that_contradicts_itself_stops_the_partition(records: list[Record]) -> None:
    partition = MembershipPartition(0, partitions=1, results_partitions=1, dead_letter=LETTER)
    with pytest.raises(BrokenLog, match=r"membership\.input\.v1/0 at offset 7: "):
        list(partition.handle(records, 0))


@pytest.mark.parametrize("by_rows", [False, True])
def test_another_number_of_partitions_stops_the_partition(world: World, *, by_rows: bool) -> None:
    """Its log holds identities whose home would be elsewhere now."""
    world.open("imp_1", "replace", on_day=1)
    world.read("imp_1", "r", [(identity, "a") for identity in IDS]) if by_rows else world.patch("a", "add", IDS)
    grown = [
        MembershipPartition(p, partitions=2 * world.partitions, results_partitions=1, dead_letter=LETTER)
        for p in range(3)
    ]
    for partition, log in zip(grown, world.log, strict=True):
        with pytest.raises(BrokenLog, match="number of partitions was changed"):
            list(partition.handle(log, 0))


def test_what_belongs_to_no_open_import_is_passed_over() -> None:
    partition = MembershipPartition(0, partitions=1, results_partitions=1, dead_letter=LETTER)
    seal = b'{"space_id":"acme","import_id":"i","reading_id":"r","batches":0,"rows":0}'
    rows = record("rows", b"garbage", rows_headers("i", "r", 0))
    assert (
        list(partition.handle([rows, record("seal", seal), record("step", STEP % 1), rows, record("seal", seal)], 0))
        == []
    )
    assert partition.due_ms() is None


def test_changes_come_before_sizes_and_results(world: World) -> None:
    """Whatever lies on partitions shared with others comes last in a transaction."""
    world.patch("a", "add", IDS)
    world.patch("b", "add", IDS)
    whole = [out.topic for out in world.fold(1).handle(world.log[1], 0)]
    last_change = max(at for at, topic in enumerate(whole) if topic == CHANGES)
    assert all(topic == CHANGES for topic in whole[: last_change + 1])


def test_state_changes_as_the_output_is_drained(world: World) -> None:
    """Nothing is folded before it is asked for: a long step is streamed, not held."""
    world.patch("a", "add", IDS)
    fold = world.fold(0)
    drained = fold.handle(world.log[0], 0)
    assert next(drained).topic == CHANGES
    assert [out.value for out in drained]


def redrive(world: World, audience: str, identifiers: list[str]) -> None:
    step = world.next()
    for partition, here in enumerate(world.scatter(identifiers)):
        if here:
            said = RedriveStep(**step, activation_id="act_1", audience_id=audience, identifiers=here)
            world.put(partition, step_headers(said), encode(said))


def test_what_is_redriven_is_told_as_it_stands_to_one_activation(world: World) -> None:
    world.define("a")
    world.patch("a", "add", IDS[:6])
    world.activation("started", "a")
    world.patch("a", "remove", IDS[2:4])
    world.forget_changes()

    redrive(world, "a", [*IDS[:4], "u999999"])
    redrive(world, "nowhere", IDS[:4])

    told = {
        kind: {m for d in world.differences if d["change"] == kind for m in d["members"]}
        for kind in ("entered", "exited")
    }
    assert told == {"entered": set(IDS[:2]), "exited": {*IDS[2:4], "u999999"}}
    assert {difference["activation_id"] for difference in world.differences} == {"act_1"}
    assert world.changes == []
    assert world.members["a"] == {*IDS[:2], *IDS[4:6]}


def held_of(world: World) -> tuple[int, int, int]:
    """Size, to add and to remove, as the newest word of each partition adds up."""
    newest = {one.partition: one for one in world.results if isinstance(one, Held)}.values()
    return sum(one.size for one in newest), sum(one.entered for one in newest), sum(one.exited for one in newest)


@pytest.mark.parametrize(
    ("resync", "begun", "grown"), [(True, (4, 4, 0), (6, 6, 0)), (False, (4, 0, 0), (6, 4, 2))], ids=["all", "new"]
)
def test_what_waits_for_its_audience_to_grow_goes_on_with_what_it_said_that_it_holds(
    world: World, *, resync: bool, begun: tuple[int, int, int], grown: tuple[int, int, int]
) -> None:
    world.patch("a", "add", IDS[:4])
    world.activation("waiting", "a", resync=resync)
    assert held_of(world) == begun
    world.patch("b", "add", IDS[:1])
    world.patch("a", "remove", IDS[:2])
    world.patch("a", "add", IDS[4:8])
    assert held_of(world) == grown
    assert {one.activation_id for one in world.results if isinstance(one, Held)} == {"act_1"}
    spoken = len(world.results)

    world.activation("resumed", "a", resync=resync)

    sent = [one for one in (*world.differences, *world.snapshots) if one["members"]]
    assert sum(len(one["members"]) for one in sent) == grown[1] + grown[2]
    world.patch("a", "add", IDS[8:])
    assert not [one for one in world.results[spoken:] if isinstance(one, Held)]


def test_what_is_paused_while_it_waits_says_nothing_and_forgets_nothing(world: World) -> None:
    world.activation("waiting", "a", resync=True)
    world.activation("paused", "a")
    spoken = len(world.results)
    world.patch("a", "add", IDS[:3])
    assert not [one for one in world.results[spoken:] if isinstance(one, Held)]

    world.activation("waiting", "a", resync=True)

    assert held_of(world) == (3, 3, 0)

"""The router of one partition: a log in, deliveries, outcomes and state out."""

from collections.abc import Iterable, Sequence

import msgspec
import pytest

from contracts import catalog, codec
from contracts.messages.delivery import Delivery, Routed, RouterState
from contracts.partitioning import default_partition
from contracts.records import Out, Record
from services.domain.delivery.router import RouterPartition
from tests.unit.domain.delivery.making import QUEUE, SPACE, activation, change, difference, marker, snapshot


def router(partition: int = 0, *, running: Iterable[RouterState] = (), queue_partitions: int = 2) -> RouterPartition:
    return RouterPartition(
        partition,
        running=running,
        queue_partitions=queue_partitions,
        outcome_partitions=2,
        refuse=lambda record, detail: Out(topic=catalog.DEAD_LETTERS, key=record.key, value=record.value),
    )


def outs(of: RouterPartition, records: Sequence[Record]) -> list[Out]:
    written = list(of.handle(records, 0))
    assert all(isinstance(out, Out) for out in written)
    return [out for out in written if isinstance(out, Out)]


def deliveries(written: Iterable[Out]) -> list[Delivery]:
    return [codec.decode(out.value or b"", Delivery) for out in written if out.topic == catalog.queue_topic(QUEUE)]


def routed(written: Iterable[Out]) -> list[Routed]:
    return [codec.decode(out.value or b"", Routed) for out in written if out.topic == catalog.OUTCOMES]


def test_a_change_of_an_activated_audience_becomes_a_delivery() -> None:
    written = outs(router(3), [marker(0, "started", partition=3), change(5, "entered", ["a", "b"], partition=3)])
    (sent,) = deliveries(written)
    assert (sent.operation, sent.members, sent.resync) == ("add", ["a", "b"], False)
    assert sent.delivery_id == "acme.7.3.5.act_1"
    assert (sent.partition, sent.sequence, sent.step) == (3, 5, 7)
    assert sent.cause is not None
    (queue_record,) = (out for out in written if out.topic == catalog.queue_topic(QUEUE))
    assert queue_record.partition == 1  # 3 % 2
    assert codec.header(queue_record.headers, "ce_id") == sent.delivery_id
    assert routed(written) == [
        Routed(space_id=SPACE, activation_id="act_1", partition=3, through_offset=6, changes=2, dropped=0)
    ]


def test_a_delivery_has_the_mapping_that_was_at_its_place() -> None:
    mapped = msgspec.structs.replace(
        activation(), destination_mapping={"action_id": "send", "settings": {"payload": {"@path": "$.userId"}}}
    )
    log = [
        marker(0, "started"),
        change(1, "entered", ["a"]),
        marker(2, "updated", mapped),
        change(3, "entered", ["b"]),
    ]
    assert [one.mapping for one in deliveries(outs(router(), log))] == [None, {"payload": {"@path": "$.userId"}}]


def test_a_batch_without_anything_activated_writes_nothing() -> None:
    assert outs(router(), [change(0, "entered", ["a"]), change(1, "exited", ["a"])]) == []


def test_what_came_before_the_start_is_not_routed_and_what_comes_after_the_end_neither() -> None:
    log = [
        change(0, "entered", ["before"]),
        marker(1, "started"),
        change(2, "entered", ["during"]),
        marker(3, "ended"),
        change(4, "entered", ["after"]),
    ]
    written = outs(router(), log)
    assert [one.members for one in deliveries(written)] == [["during"]]
    (outcome,) = routed(written)
    assert (outcome.changes, outcome.ended_step, outcome.through_offset) == (1, 6, 5)


@pytest.mark.parametrize(
    ("activation_type", "operations", "dropped"),
    [
        ("audience_entered", ["add"], 1),
        ("audience_exited", ["remove"], 2),
        ("audience_membership_changed", ["add", "remove"], 0),
        ("a-type-of-next-year", [], 3),
    ],
)
def test_activation_types(activation_type: str, operations: list[str], dropped: int) -> None:
    start = marker(0, "started", activation(activation_type=activation_type))
    written = outs(router(), [start, change(1, "entered", ["a", "b"]), change(2, "exited", ["a"])])
    assert [one.operation for one in deliveries(written)] == operations
    (outcome,) = routed(written)
    assert (outcome.changes, outcome.dropped) == (3, dropped)


def test_a_snapshot_goes_only_to_the_activation_that_it_is_addressed_to() -> None:
    log = [
        marker(0, "started", activation("act_1")),
        marker(1, "started", activation("act_2")),
        snapshot(2, ["a"], activation_id="act_2"),
        snapshot(3, ["a"], activation_id=None),
        snapshot(4, ["a"], activation_id="act_gone"),
    ]
    (sent,) = deliveries(outs(router(), log))
    assert (sent.activation_id, sent.operation, sent.resync, sent.cause) == ("act_2", "add", True, None)
    assert sent.delivery_id == "act_1.6.0.2.act_2"


def test_one_change_goes_to_every_activation_of_its_audience_and_to_no_other() -> None:
    log = [
        marker(0, "started", activation("act_1")),
        marker(1, "started", activation("act_2")),
        marker(2, "started", activation("act_3", audience_id="aud_2")),
        change(3, "entered", ["a"]),
    ]
    assert [one.activation_id for one in deliveries(outs(router(), log))] == ["act_1", "act_2"]


def test_paused_changes_are_counted_as_dropped_and_an_update_does_not_resume() -> None:
    log = [
        marker(0, "started"),
        marker(1, "paused"),
        change(2, "entered", ["a"]),
        marker(3, "updated"),
        change(4, "entered", ["b"]),
        marker(5, "resumed"),
        change(6, "entered", ["c"]),
    ]
    written = outs(router(), log)
    assert [one.members for one in deliveries(written)] == [["c"]]
    (outcome,) = routed(written)
    assert (outcome.changes, outcome.dropped) == (3, 2)


@pytest.mark.parametrize("batches", [1, 2])
def test_what_waits_for_its_audience_to_grow_is_counted_when_it_goes_on(batches: int) -> None:
    log = [
        marker(0, "waiting"),
        change(1, "entered", ["a", "b"]),
        marker(2, "updated"),
        change(3, "exited", ["b"]),
        marker(4, "resumed"),
        difference(5, "entered", ["a"]),
    ]
    written = outs(router(), log[: 6 // batches])
    states = [codec.decode(out.value or b"", RouterState) for out in written if out.topic == catalog.ROUTER_STATE]
    if batches == 2:
        assert (routed(written), deliveries(written)) == ([], [])
        written = outs(router(running=states[-1:]), log[3:])
    assert [one.members for one in deliveries(written)] == [["a"]]
    (outcome,) = routed(written)
    assert (outcome.changes, outcome.dropped) == (1, 0)


def test_one_that_waited_in_vain_here_says_that_it_waits_no_more() -> None:
    (outcome,) = routed(outs(router(), [marker(0, "waiting"), marker(1, "resumed")]))
    assert (outcome.changes, outcome.through_offset) == (0, 2)


def test_what_changed_during_a_pause_goes_to_the_resumed_activation_alone() -> None:
    log = [
        marker(0, "started"),
        marker(1, "started", activation("act_2")),
        marker(2, "paused"),
        marker(3, "resumed"),
        difference(4, "exited", ["a"]),
        difference(5, "entered", ["b"]),
    ]
    sent = deliveries(outs(router(), log))
    assert [(one.activation_id, one.operation, one.members) for one in sent] == [
        ("act_1", "remove", ["a"]),
        ("act_1", "add", ["b"]),
    ]
    assert [(one.resync, one.cause) for one in sent] == [(True, None)] * 2
    assert len({one.delivery_id for one in sent}) == 2


@pytest.mark.parametrize(
    ("activation_type", "removed"),
    [("audience_membership_changed", True), ("audience_entered", False), ("audience_exited", True)],
)
@pytest.mark.parametrize("paused", [False, True])
def test_removal_at_the_end_comes_before_the_marker_and_also_where_it_was_paused(
    activation_type: str, *, removed: bool, paused: bool
) -> None:
    about = activation(activation_type=activation_type)
    log = [marker(0, "started", about), *([marker(1, "paused", about)] if paused else [])]
    written = outs(router(), [*log, difference(2, "exited", ["a"]), marker(3, "ended", about)])
    assert [(one.operation, one.members) for one in deliveries(written)] == [("remove", ["a"])] * removed
    (outcome,) = routed(written)
    assert (outcome.changes, outcome.dropped, outcome.ended_step) == (1, 1 - removed, 6)


@pytest.mark.parametrize("word", ["updated", "paused", "ended", "forgotten", "a-marker-of-next-year"])
def test_a_marker_for_what_does_not_run_changes_nothing(word: str) -> None:
    assert outs(router(), [marker(0, word), change(1, "entered", ["a"])]) == []


def test_an_updated_activation_is_routed_by_its_new_form() -> None:
    log = [
        marker(0, "started"),
        marker(1, "updated", activation(activation_type="audience_exited")),
        change(2, "entered", ["a"]),
        change(3, "exited", ["a"]),
    ]
    assert [one.operation for one in deliveries(outs(router(), log))] == ["remove"]


def test_other_types_of_record_are_skipped() -> None:
    strange = change(1, "entered", ["a"])
    headers = tuple((name, b"audience.merged" if name == "ce_type" else value) for name, value in strange.headers)
    strange = Record(
        topic=strange.topic, partition=0, offset=1, timestamp_ms=0, key=None, value=strange.value, headers=headers
    )
    nothing = Record(topic=strange.topic, partition=0, offset=2, timestamp_ms=0, key=None, value=None, headers=())
    assert deliveries(outs(router(), [marker(0, "started"), strange, nothing])) == []


@pytest.mark.parametrize("value", [None, b"", b"{", b'{"space_id":"acme"}', b"\xff\xfe"])
def test_an_unreadable_change_goes_to_dead_letters_and_its_neighbours_go_on(value: bytes | None) -> None:
    good = change(1, "entered", ["a"])
    bad = Record(topic=good.topic, partition=0, offset=1, timestamp_ms=0, key=None, value=value, headers=good.headers)
    written = outs(router(), [marker(0, "started"), bad, change(2, "entered", ["b"])])
    assert [out.value for out in written if out.topic == catalog.DEAD_LETTERS] == [value]
    assert [one.members for one in deliveries(written)] == [["b"]]


def test_the_state_topic_restores_the_router_at_any_cut_of_the_log() -> None:
    """The law of restoring: state written up to a cut, read back, yields what an unbroken router yields."""
    log = [
        marker(0, "started", activation("act_1")),
        change(1, "entered", ["a"]),
        marker(2, "started", activation("act_2")),
        marker(3, "paused", activation("act_1")),
        change(4, "exited", ["a"]),
        marker(5, "ended", activation("act_2")),
        marker(6, "resumed", activation("act_1")),
        change(7, "entered", ["b"]),
    ]
    whole = deliveries(outs(router(), log))
    for at in range(len(log) + 1):
        first = outs(router(), log[:at])
        state: dict[bytes, bytes | None] = {}
        for out in first:
            if out.topic == catalog.ROUTER_STATE:
                assert out.partition == 0
                state[out.key or b""] = out.value
        running = [codec.decode(value, RouterState) for value in state.values() if value is not None]
        second = outs(router(running=running), log[at:])
        assert deliveries(first) + deliveries(second) == whole


def test_a_list_that_is_replaced_has_one_lane_and_is_emptied_before_each_partitions_members() -> None:
    """What all partitions write about it goes to the partition of its connection, as Kafka's own partitioner has it."""
    lane = default_partition(b"con_1", 2)
    for partition in range(4):
        log = [
            marker(0, "started", partition=partition, replaces=True, clears=True, followed_by=1),
            snapshot(1, ["a"], partition=partition),
            change(2, "entered", ["b"], partition=partition),
            marker(3, "updated", partition=partition, clears=True),
            marker(4, "updated", partition=partition, replaces=True),
        ]
        written = [out for out in outs(router(partition), log) if out.topic == catalog.queue_topic(QUEUE)]
        assert {out.partition for out in written} == {lane}
        sent = deliveries(written)
        assert [(one.operation, one.members) for one in sent] == [
            ("clear", []), ("add", ["a"]), ("add", ["b"]), ("clear", []),
        ]  # fmt: skip
        assert sent[0].delivery_id == f"acme.6.{partition}.clear.act_1"
        assert (sent[0].step, sent[0].sequence, sent[0].followed_by) == (6, 0, 1)


def test_what_replaces_at_its_start_does_so_to_its_end_and_after_a_restart() -> None:
    first = router(3)
    began = outs(first, [marker(0, "started", partition=3, replaces=True, clears=True)])
    (state,) = [codec.decode(out.value or b"", RouterState) for out in began if out.topic == catalog.ROUTER_STATE]
    (sent,) = [
        out for out in outs(router(3, running=[state]), [change(1, "entered", ["a"], partition=3)])
        if out.topic == catalog.queue_topic(QUEUE)
    ]  # fmt: skip
    assert sent.partition == default_partition(b"con_1", 2)


@pytest.mark.parametrize("kind", ["audience_exited", "of_a_later_version"])
def test_no_list_is_emptied_for_an_activation_that_adds_nobody(kind: str) -> None:
    started = marker(0, "started", activation(activation_type=kind), replaces=True, clears=True)
    assert deliveries(outs(router(), [started])) == []

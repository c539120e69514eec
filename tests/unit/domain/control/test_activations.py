"""Destinations and their queues, activations in time, and what outcomes make of their status."""

import re

import msgspec
import pytest

from contracts import catalog, codes
from contracts.catalog import QUEUE_PATTERN, TopicSpec
from contracts.instants import instant_text
from contracts.messages.delivery import LaneState, Routed
from contracts.messages.steps import ActivationStep, TickStep
from contracts.records import Out
from tests.unit.domain.control.bench import PARTITIONS, SPACE, START_MS, Bench, steps
from tests.unit.domain.control.delivering import (
    QUEUE,
    activatable,
    activate,
    delivered,
    markers,
    routed,
    say,
    status,
)

DAY_MS = 86_400_000


@pytest.fixture
def bench() -> Bench:
    """A space with an audience and a destination."""
    return activatable()


def latest_end(bench: Bench) -> int:
    """The step of the latest end."""
    ends = [one for one in steps(bench.outs) if isinstance(one, ActivationStep) and one.marker == "ended"]
    return ends[-1].step


def everywhere(through: int, *, changes: int = 0, dropped: int = 0, ended_step: int) -> list[Routed]:
    """The same word from all partitions."""
    return [
        routed(through, changes=changes, dropped=dropped, partition=partition, ended_step=ended_step)
        for partition in range(PARTITIONS)
    ]


def lane(state: str, partition: int = 0, code: str | None = None) -> LaneState:
    """A lane of the destination; `code` is why it does not deliver."""
    return LaneState(
        space_id=SPACE,
        destination_id="dest_d",
        queue=QUEUE,
        partition=partition,
        state=state,
        code=code,
        detail=None if code is None else "said so",
        at=instant_text(START_MS),
    )


def test_a_queue_is_asked_for_before_its_destination_is_published() -> None:
    bench = Bench().space()
    item = {"name": "d", "connector": "webhook", "settings": {"url": "https://a", "colour": "red"}}

    yielded = list(bench.shard.handle([bench.command("destinations.create", item)], bench.now_ms))

    (spec,) = (one for one in yielded if isinstance(one, TopicSpec))
    entity = next(one for one in yielded if isinstance(one, Out) and one.topic == catalog.CATALOGUE)
    assert yielded.index(spec) < yielded.index(entity)
    assert (spec.partitions, spec.cleanup, spec.retention_ms) == (2, "delete", 14 * DAY_MS)


def test_what_the_connector_does_not_know_is_a_warning(bench: Bench) -> None:
    reply = bench.send("destinations.update", {"destination": "d", "settings": {"url": "https://b", "colour": "red"}})

    assert [(one.code, one.detail) for one in reply.warnings] == [(codes.UNKNOWN_FIELD.code, "settings.colour")]


def test_connectors_are_described_one_or_all(bench: Bench) -> None:
    for item in ({}, {"connector": "webhook"}):
        (answered,) = bench.send("destinations.supported", item).data
        assert answered["connectors"] == [{"slug": "webhook", "title": "Webhook"}]
    (error,) = bench.send("destinations.supported", {"connector": "pigeon"}).errors
    assert error.code == codes.CONNECTOR_UNKNOWN.code


def test_what_a_destination_does_not_take_is_refused_when_it_is_saved(bench: Bench) -> None:
    bench.made("audiences.create", {"name": "cookies", "kind": "list", "id_type": "anonymous_id"})
    ends = {"audience": "cookies", "destination": "d"}
    for command, item in (("connections.create", ends), ("activations.create", {"name": "n", **ends})):
        (error,) = bench.send(command, item).errors
        assert (error.code, error.detail) == (codes.DELIVERY_ID_TYPE_REFUSED.code, "no cookies")
    wrong = {"audience": "a", "destination": "d", "connection_settings": {"list": "x"}}
    (error,) = bench.send("connections.create", wrong).errors
    assert error.code == codes.FIELD_INVALID.code
    assert not [key for key in bench.catalogue if "/connection/" in key]


def test_a_queue_is_named_by_no_user_and_never_twice() -> None:
    bench = Bench()
    item = {"name": "d", "connector": "webhook", "settings": {"url": "https://a"}}
    names = []
    for space, id_ in (("acme", "mine"), ("other", "mine"), ("acme", "mine-2")):
        bench.send("spaces.create", {}, space=space)
        names.append(
            str(
                bench.send("destinations.create", item | {"id": id_}, id_="c", space=space, source=id_).data[0]["queue"]
            )
        )
        bench.send("destinations.delete", {"id": id_}, space=space)

    assert len(set(names)) == 3
    assert not [name for name in names if "mine" in name]
    assert [spec.name for spec in bench.topics] == [catalog.queue_topic(name) for name in names]
    assert all(re.fullmatch(QUEUE_PATTERN, spec.name) for spec in bench.topics)


def test_an_activation_makes_its_connection_once(bench: Bench) -> None:
    activate(bench)

    (second,) = bench.made("activations.create", {"name": "second", "audience": "a", "destination": "d"})

    connections = [one for key, one in bench.catalogue.items() if "/connection/" in key]
    assert len(connections) == 1
    assert f"{SPACE}/delivering/{second}" in bench.state


PERIODS: list[tuple[str, dict[str, object], list[str], str]] = [
    ("at once", {}, ["started 2026-01-01"], "running"),
    ("disabled", {"enabled": False}, [], "disabled"),
    ("from yesterday", {"start_date": "2025-12-31"}, ["started 2026-01-01"], "running"),
    ("from now", {"start_date": "2026-01-01"}, ["started 2026-01-01"], "running"),
    ("later", {"start_date": "2026-01-05"}, ["started 2026-01-05"], "running"),
    ("for a while", {"start_date": "2026-01-05", "end_date": "2026-01-08"}, ["started 2026-01-05", "ended 2026-01-08"], "ended"),
    ("until", {"end_date": "2026-01-08T00:00:00Z"}, ["started 2026-01-01", "ended 2026-01-08"], "ended"),
    ("in the past", {"end_date": "2025-12-31"}, [], "ended"),
    ("after the test", {"start_date": "2027-01-01"}, [], "scheduled"),
    ("disabled, with dates", {"start_date": "2026-01-05", "enabled": False}, [], "disabled"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "expected", "state"), [row[1:] for row in PERIODS], ids=[row[0] for row in PERIODS])
def test_an_activation_runs_in_its_period(
    bench: Bench, fields: dict[str, object], expected: list[str], state: str
) -> None:
    activate(bench, **fields)

    bench.advance("2026-01-06")
    bench.advance("2026-02-01")

    assert markers(bench.outs) == expected
    assert status(bench).state == state


@pytest.mark.parametrize(("fields", "expected", "state"), [row[1:] for row in PERIODS], ids=[row[0] for row in PERIODS])
def test_with_system_time_it_runs_by_itself(fields: dict[str, object], expected: list[str], state: str) -> None:
    bench = Bench()
    bench.made("spaces.create", {})
    bench.made("audiences.create", {"id": "aud_a", "name": "a", "id_type": "kuid"})
    bench.made("destinations.create", {"name": "d", "connector": "webhook", "settings": {"url": "https://a"}})
    activate(bench, **fields)

    while (due_ms := bench.shard.due_ms()) is not None and due_ms < START_MS + 40 * DAY_MS:
        assert due_ms > bench.now_ms
        bench.now_ms = due_ms
        bench.handle()

    assert markers(bench.outs) == expected
    assert status(bench).state == state


def test_the_expiry_of_an_instant_comes_before_its_starts(bench: Bench) -> None:
    activate(bench, start_date="2026-01-05")
    before = len(bench.outs)

    bench.advance("2026-01-05")

    assert [type(one) for one in steps(bench.outs[before:])] == [TickStep, ActivationStep]


@pytest.mark.parametrize(
    ("fields", "expected", "state"),
    [
        ({"display_name": "shown"}, ["updated 2026-01-01"], "running"),
        ({"activation_type": "audience_entered"}, ["updated 2026-01-01"], "running"),
        ({"enabled": False}, ["paused 2026-01-01"], "disabled"),
        ({"end_date": "2025-12-31"}, ["ended 2026-01-01"], "ended"),
        ({"start_date": "2026-06-01"}, ["ended 2026-01-01"], "scheduled"),
    ],
)
def test_an_update_of_a_running_activation_is_marked(
    bench: Bench, fields: dict[str, object], expected: list[str], state: str
) -> None:
    activate(bench)
    before = len(bench.outs)

    reply = bench.send("activations.update", {"activation": "act", **fields})

    assert reply.data[0]["version"] == 2
    assert markers(bench.outs[before:]) == expected
    assert status(bench).state == state


def test_without_resync_it_starts_without(bench: Bench) -> None:
    activate(bench, perform_resync=False)

    written = steps(bench.outs, partition=None)
    starts = [one for one in written if isinstance(one, ActivationStep)]
    assert [one.resync for one in starts] == [False] * PARTITIONS
    assert {one.queue for one in starts} == {starts[0].queue}
    assert starts[0].activation.activation_id == "act_1"


def test_outcomes_are_counted_once_and_add_up(bench: Bench) -> None:
    activate(bench)
    say(bench, routed(1, changes=0))
    assert (status(bench).totals.ready_count, status(bench).totals.pending_count) == (None, 0)
    say(bench, routed(5, changes=10, dropped=2), routed(5, changes=10, dropped=2), routed(3, changes=99))
    say(bench, routed(7, changes=5, partition=1))
    say(bench, delivered(4, count=6, merged=1), delivered(4, count=6, merged=1), delivered(2, count=50))

    totals = status(bench).totals
    assert (totals.ready_count, totals.failed_count, totals.no_data_count, totals.pending_count) == (6, 0, 1, 6)
    assert (totals.segment_upload_count, totals.upload_count, totals.log_count) == (13, 1, 4)
    assert (status(bench).lag_records, status(bench).lag_seconds) == (6, 2.5)
    counters = status(bench).counters
    assert (counters.changes, counters.dropped, counters.delivered, counters.merged) == (15, 2, 6, 1)
    assert (counters.pending, counters.uploads) == (6, 1)
    assert status(bench).last_success_at == "2026-01-01T10:00:00.000Z"

    say(bench, delivered(9, count=0, dead=6, code=codes.DELIVERY_PERMANENT.code))

    assert (status(bench).counters.pending, status(bench).counters.dead_lettered) == (0, 6)
    assert (status(bench).totals.failed_count, status(bench).lag_seconds) == (6, 0)
    error = status(bench).last_error
    assert error is not None
    assert (error.code, error.detail) == (codes.DELIVERY_PERMANENT.code, "said so")


def test_a_lane_that_does_not_deliver_shows(bench: Bench) -> None:
    activate(bench)

    def after(*said: LaneState) -> str:
        say(bench, *said)
        return status(bench).state

    assert after(lane("retrying")) == "retrying"
    assert after(lane("parked", partition=1)) == "parked"
    assert after(lane("delivering")) == "parked"
    assert after(lane("delivering", partition=1)) == "running"
    assert not [key for key in bench.state if "/lanes/" in key]


def test_the_lag_grows_while_a_lane_tries_in_vain(bench: Bench) -> None:
    activate(bench)

    def after(waited_ms: int) -> float | None:
        say(bench, msgspec.structs.replace(lane("retrying"), waited_ms=waited_ms))
        return status(bench).lag_seconds

    assert after(1_000) is None, "nothing of this activation waits"
    say(bench, routed(5))
    assert [after(2_000), after(63_500)] == [2.0, 63.5]
    say(bench, delivered(4, count=10), lane("delivering"))
    assert status(bench).lag_seconds == 0


def test_a_lane_that_does_not_deliver_says_why(bench: Bench) -> None:
    activate(bench)

    say(bench, lane("parked", code=codes.DELIVERY_AUTHENTICATION.code))

    error = status(bench).last_error
    assert error is not None
    assert (error.code, error.detail) == (codes.DELIVERY_AUTHENTICATION.code, "said so")


def test_what_a_lane_says_after_its_destination_has_gone_is_not_kept(bench: Bench) -> None:
    activate(bench)
    bench.made("activations.delete", {"name": "act"})
    (connection,) = bench.shard._spaces[SPACE].catalogue.connections
    bench.made("connections.delete", {"id": connection.connection_id})
    bench.made("destinations.delete", {"id": "dest_d"})

    say(bench, lane("parked"))

    assert not [key for key in bench.state if "/lanes/" in key]


def test_what_is_on_its_way_when_an_activation_is_deleted_is_still_counted(bench: Bench) -> None:
    activate(bench)
    say(bench, routed(5, changes=10))
    before = len(bench.outs)
    bench.made("activations.delete", {"name": "act"})
    assert markers(bench.outs[before:]) == ["ended 2026-01-01", "forgotten 2026-01-01"]
    assert status(bench).state == "deleted"

    say(bench, *everywhere(9, ended_step=latest_end(bench)))
    assert f"{SPACE}/delivering/act_1" in bench.state
    say(bench, delivered(4, count=10))

    assert f"{SPACE}/delivering/act_1" not in bench.state
    assert (status(bench).state, status(bench).counters.delivered, status(bench).counters.pending) == ("deleted", 10, 0)
    assert not say(bench, delivered(5, count=1))


def test_what_is_on_its_way_when_an_ended_activation_is_deleted_is_still_counted(bench: Bench) -> None:
    """Its end came before any word of the router."""
    activate(bench)
    bench.made("activations.update", {"activation": "act", "end_date": "2025-12-31"})
    ended_step = latest_end(bench)
    bench.made("activations.delete", {"name": "act"})

    say(bench, *everywhere(9, changes=5, dropped=5, ended_step=ended_step))

    assert status(bench).counters.changes == 5 * PARTITIONS
    assert f"{SPACE}/delivering/act_1" not in bench.state


def test_the_end_before_the_last_one_is_not_the_last(bench: Bench) -> None:
    """The router's word on it comes when the activation has started and ended again."""
    activate(bench)
    bench.made("activations.update", {"activation": "act", "end_date": "2025-12-31"})
    first = latest_end(bench)
    bench.made("activations.update", {"activation": "act", "end_date": None})
    bench.made("activations.delete", {"name": "act"})
    last = latest_end(bench)

    say(bench, *everywhere(5, ended_step=first))
    say(bench, *everywhere(9, changes=5, dropped=5, ended_step=last))

    assert status(bench).counters.changes == 5 * PARTITIONS
    assert f"{SPACE}/delivering/act_1" not in bench.state


def test_one_that_has_ended_everywhere_is_forgotten_when_it_is_deleted(bench: Bench) -> None:
    activate(bench)
    bench.made("activations.update", {"activation": "act", "end_date": "2025-12-31"})
    say(bench, *everywhere(9, ended_step=latest_end(bench)))

    bench.made("activations.delete", {"name": "act"})

    assert f"{SPACE}/delivering/act_1" not in bench.state
    assert status(bench).state == "deleted"


def test_one_that_never_ran_is_forgotten_at_once(bench: Bench) -> None:
    activate(bench, enabled=False)

    bench.made("activations.delete", {"name": "act"})

    assert f"{SPACE}/delivering/act_1" not in bench.state
    assert status(bench).state == "deleted"
    assert not markers(bench.outs)


def test_an_activation_is_told_of_only_by_its_own_instants(bench: Bench) -> None:
    activate(bench)
    before = len(bench.outs)

    bench.advance("2026-05-01")

    assert [type(one) for one in steps(bench.outs[before:])] == [TickStep]

"""Each law of the audit passes on a right log and catches the violation planted for it."""

from collections.abc import Callable
from typing import Any, Literal

import msgspec
import pytest
from msgspec.structs import replace

from contracts import catalog, codec
from contracts.messages.entities import Activation, Audience, Expression
from contracts.messages.published import (
    ActivationCounters,
    ActivationDifference,
    ActivationMarker,
    ActivationStatus,
    Cause,
    Change,
    Import,
    ImportCounts,
    Reason,
    Size,
    Snapshot,
)
from contracts.partitioning import member_partition
from contracts.records import Record
from services.tools.audit.audit import Audit
from services.tools.audit.report import LAWS

PARTITIONS = 4
AT = "2026-01-01T00:00:00.000Z"
HOME = member_partition("u000001", PARTITIONS)
NEIGHBOUR = next(f"u{n:06d}" for n in range(2, 99) if member_partition(f"u{n:06d}", PARTITIONS) == HOME)
STRANGER = next(f"u{n:06d}" for n in range(2, 99) if member_partition(f"u{n:06d}", PARTITIONS) != HOME)


def record(topic: str, value: msgspec.Struct | dict[str, object] | None, **fields: Any) -> Record:
    base = Record(topic, 0, 0, 0, None, None if value is None else codec.encode(value), ())
    return replace(base, **fields)


def change(
    kind: str, members: list[str], step: int, *, change_id: str = "", audience: str = "a", **fields: object
) -> Record:
    value = Change(
        space_id="s", audience_id=audience, change="entered" if kind == "entered" else "exited", member_type="identity",
        id_type="kuid", at=AT, members=members, step=step, cause=Cause("import", "imp_1"),
    )  # fmt: skip
    headers = codec.event_headers(
        id=change_id or f"s.{step}.{HOME}.{audience}{kind}", source="/usher", type=f"audience.{kind}", space_id="s",
        time=AT, subject=audience,
    )  # fmt: skip
    return record(catalog.CHANGES, value, **{"partition": HOME, "offset": step, "headers": headers, **fields})


def size(audience: str, members: int) -> Record:
    value = Size(partition=HOME, partitions=PARTITIONS, size=members, at=AT)
    return record(catalog.SIZES, value, key=f"s/{audience}/{HOME}".encode())


def audience(audience_id: str, *, name: str | None = None, expression: Expression | None = None) -> Record:
    value = Audience(
        space_id="s", audience_id=audience_id, name=name or audience_id, kind="composed" if expression else "list",
        id_type="kuid", expression=expression, created_step=1, step=1, created_at=AT, updated_at=AT,
    )  # fmt: skip
    return record(catalog.CATALOGUE, value, key=f"s/audience/{audience_id}".encode())


ACTIVATION = Activation(
    space_id="s", activation_id="act", name="act", connection_id="c", audience_id="a", destination_id="d",
    created_at=AT, updated_at=AT,
)  # fmt: skip


def marker(kind: str) -> Record:
    value = ActivationMarker(space_id="s", marker=kind, activation=ACTIVATION, queue="q", at=AT, step=1)
    headers = codec.event_headers(id=kind, source="/usher", type=f"activation.{kind}", space_id="s", time=AT)
    return record(catalog.CHANGES, value, partition=HOME, headers=headers)


def snapshot(members: list[str]) -> Record:
    value = Snapshot(
        space_id="s", audience_id="a", snapshot_id="act.1", activation_id="act", member_type="identity", id_type="kuid",
        at=AT, members=members, step=1,
    )  # fmt: skip
    headers = codec.event_headers(id="snap", source="/usher", type="audience.snapshot", space_id="s", time=AT)
    return record(catalog.CHANGES, value, partition=HOME, headers=headers)


def difference(change: Literal["entered", "exited"], members: list[str]) -> Record:
    value = ActivationDifference(
        space_id="s", activation_id="act", audience_id="a", change=change, member_type="identity", id_type="kuid",
        at=AT, members=members, step=3,
    )  # fmt: skip
    headers = codec.event_headers(id="diff", source="/usher", type="audience.difference", space_id="s", time=AT)
    return record(catalog.CHANGES, value, partition=HOME, headers=headers)


def status(**counters: int) -> Record:
    value = ActivationStatus(
        space_id="s", activation_id="act", destination_id="d", audience_id="a", state="active",
        counters=ActivationCounters(**counters), updated_at=AT,
    )  # fmt: skip
    return record(catalog.ACTIVATIONS, value, key=b"s/act")


def imported(state: str = "applied", code: str | None = None, **counts: int) -> Record:
    value = Import(
        space_id="s", import_id="imp_1", mode="append", state=state, counts=ImportCounts(**counts),
        error=Reason(code=code, detail="") if code else None, announced_at=AT, updated_at=AT,
    )  # fmt: skip
    return record(catalog.IMPORTS, value, key=b"s/imp_1")


def command(command_id: str) -> Record:
    value: dict[str, object] = {
        "specversion": "1.0", "id": command_id, "source": "/t", "type": "audiences.create", "spaceid": "s", "data": {},
    }  # fmt: skip
    return record(catalog.COMMANDS, value, key=b"s")


def reply(command_id: str, **value: object) -> Record:
    headers = codec.event_headers(
        id=command_id,
        source="/usher",
        type="x.reply",
        space_id="s",
        time=AT,
        extensions=[("correlationid", command_id)],
    )
    return record(catalog.REPLIES, {"status": "accepted", **value}, headers=headers)


def dead_letter(code: str, *names: str) -> Record:
    headers = (("dlq-code", code.encode()), *((name, b"1") for name in names))
    return record(catalog.DEAD_LETTERS, {}, headers=headers)


def right_log() -> list[Record]:
    either = Expression(or_=[Expression(audience="a"), Expression(audience="b")])
    return [
        audience("a"),
        audience("b"),
        audience("c", expression=either),
        audience("n", expression=Expression(not_=Expression(audience="a"))),
        command("c-1"),
        reply("c-1"),
        reply("c-1"),
        marker("started"),
        change("entered", ["u000001", NEIGHBOUR], 2),
        change("entered", ["u000001", NEIGHBOUR], 2, audience="c"),
        change("exited", [NEIGHBOUR], 3),
        change("exited", [NEIGHBOUR], 3, audience="c"),
        change("entered", [NEIGHBOUR], 3, audience="n"),
        difference("exited", ["u000001"]),
        marker("ended"),
        size("a", 1),
        size("c", 1),
        size("n", 1),
        imported(rows=3, valid=2, rejected=1, entered=5, exited=2),
        status(changes=4, delivered=3, merged=1),
        dead_letter("notification-not-json", "dlq-detail", "dlq-topic", "dlq-partition", "dlq-offset", "dlq-service"),
    ]


def broken_by(log: list[Record]) -> set[str]:
    audit = Audit(PARTITIONS)
    for one in log:
        audit.take(one)
    report = audit.finish()
    assert bool(report.lines) == bool(report.broken)
    return set(report.broken)


def test_a_right_log_breaks_no_law_and_holds_facts_against_all() -> None:
    audit = Audit(PARTITIONS)
    for one in right_log():
        audit.take(one)
    report = audit.finish()
    assert report.lines == []
    assert set(report.checked) | {"code-declared"} == set(LAWS)


def _swap(topic: str, *new: Record) -> Callable[[list[Record]], list[Record]]:
    return lambda log: [*(one for one in log if one.topic != topic), *new]


def _plus(*new: Record) -> Callable[[list[Record]], list[Record]]:
    return lambda log: [*log, *new]


PLANTED: dict[str, Callable[[list[Record]], list[Record]]] = {
    "activation-adds-up": _swap(catalog.ACTIVATIONS, status(changes=4, delivered=3)),
    "activation-counts-changes": _swap(catalog.ACTIVATIONS, status(changes=2, delivered=2)),
    "alternation": _plus(change("entered", ["u000001"], 9), size("a", 1)),
    "change-form": _plus(change("exited", ["u000001"], 9, headers=change("entered", [], 9).headers), size("a", 0)),
    "change-id": _plus(change("exited", ["u000001"], 9, change_id=f"s.2.{HOME}.aentered"), size("a", 0)),
    "code-declared": _plus(reply("c-2", errors=[{"code": "no-such-code"}])),
    "composition": _plus(change("exited", ["u000001"], 9, audience="c"), size("c", 0)),
    "dead-letter-form": _plus(dead_letter("notification-not-json", "dlq-detail")),
    "home-partition": _plus(
        change("entered", [STRANGER], 9, audience="b"), change("entered", [STRANGER], 9, audience="c")
    ),
    "import-adds-up": _swap(catalog.IMPORTS, imported(rows=3, valid=3, rejected=1, entered=5, exited=2)),
    "import-changes": _swap(catalog.IMPORTS, imported(rows=3, valid=3, entered=4, exited=2)),
    "import-state": _swap(catalog.IMPORTS, imported("lost", rows=0)),
    "name-unique": _plus(audience("d", name="a")),
    "reply": _plus(command("c-3")),
    "size": _plus(size("a", 2)),
    "step-order": _plus(change("exited", ["u000001"], 1)),
}


@pytest.mark.parametrize("law", sorted(LAWS))
def test_a_planted_violation_is_caught(law: str) -> None:
    assert law in broken_by(PLANTED[law](right_log()))


@pytest.mark.parametrize(
    ("law", "plant"),
    [
        ("reply", _plus(reply("c-1", status="rejected"))),  # a repeat with another reply
        ("code-declared", _swap(catalog.IMPORTS, imported("failed", "no-such-code"))),
        ("code-declared", _plus(dead_letter("no-such-code"))),
        ("change-form", _plus(change("entered", [], 9))),
        ("activation-counts-changes", _plus(snapshot(["u000001"]))),
    ],
)
def test_other_ways_to_break_a_law(law: str, plant: Callable[[list[Record]], list[Record]]) -> None:
    assert law in broken_by(plant(right_log()))

"""One space on all partitions of a membership input, for tests: write steps and rows, read what came of them.

Stands for control (numbers the steps, keeps the time), for intake (rows, seals) and for a consumer that folds the
changes; it checks on the way that entered and exited alternate and that ids are unique.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Literal

import msgspec

from contracts.catalog import CHANGES, INPUT, RESULTS, SIZES
from contracts.codec import Headers, encode, header
from contracts.instants import instant_text, parse_instant
from contracts.messages.entities import Activation, Expression
from contracts.messages.results import Applied, Result, Staged, Weighed
from contracts.messages.steps import (
    ActivationStep,
    DefinitionStep,
    ImportAbortStep,
    ImportApplyStep,
    ImportOpenStep,
    ImportWeighStep,
    PatchStep,
    RunStep,
    Seal,
    SnapshotStep,
    Step,
    TickStep,
)
from contracts.partitioning import member_partition
from contracts.records import Out, Record
from services.domain.membership.partition import MembershipPartition
from services.domain.rows import encode_rows
from services.membership.fold import LETTER
from tests.unit.domain.membership.wire import (
    ID_TYPE,
    SPACE,
    Event,
    Rows,
    event_records,
    headers_of,
    row_batches,
    rows_headers,
    step_headers,
)

DAY_1 = "2026-01-01"
DAY_MS = 86_400_000

Mode = Literal["append", "replace", "remove"]


def day(number: int) -> str:
    """The date of day `number`; day 1 is 2026-01-01."""
    return instant_text(day_ms(number))[:10]


def day_ms(number: int) -> int:
    """00:00 UTC of day `number`."""
    start = parse_instant(DAY_1)
    assert start is not None
    return start + (number - 1) * DAY_MS


def ids(first: int, last: int) -> list[str]:
    """Identities u000001, u000002, …"""
    return [f"u{number:06d}" for number in range(first, last + 1)]


def rows(audience: str, identifiers: Sequence[str]) -> list[tuple[str, str]]:
    """Rows of one audience."""
    return [(identifier, audience) for identifier in identifiers]


def expression(form: str | dict[str, Any]) -> Expression:
    """`"a"`, `{"and": [...]}`, `{"or": [...]}`, `{"not": ...}`."""
    if isinstance(form, str):
        return Expression(audience=form)
    ((key, value),) = form.items()
    match key:
        case "and":
            return Expression(and_=[expression(part) for part in value])
        case "or":
            return Expression(or_=[expression(part) for part in value])
    return Expression(not_=expression(value))


class World:
    """`members` and `sizes` are what a consumer of the topics knows; `log` and `outs` are kept by partition."""

    def __init__(self, partitions: int = 3) -> None:
        self.partitions = partitions
        self.log: list[list[Record]] = [[] for _ in range(partitions)]
        self.outs: list[list[Out]] = [[] for _ in range(partitions)]
        self.members: dict[str, set[str]] = {}
        self.changes: list[dict[str, Any]] = []  # since `forget_changes`
        self.snapshots: list[dict[str, Any]] = []
        self.markers: list[tuple[str, dict[str, Any]]] = []
        self.differences: list[dict[str, Any]] = []
        self.results: list[Result] = []
        self.now_ms = day_ms(1)
        self.step = 0
        self.folds = [self.fold(partition) for partition in range(partitions)]
        self._sizes: dict[tuple[str, int], int] = {}
        self._ids: set[str] = set()

    def fold(self, partition: int) -> MembershipPartition:
        """A partition without any past."""
        return MembershipPartition(partition, partitions=self.partitions, results_partitions=2, dead_letter=LETTER)

    # What control writes.

    def define(self, audience: str, *, id_type: str = ID_TYPE, scheduled: bool = False) -> None:
        self._define(audience, kind="list", id_type=id_type, scheduled=scheduled)

    def compose(self, audience: str, form: str | dict[str, Any], *, scheduled: bool = False) -> None:
        self._define(audience, kind="composed", expression=expression(form), scheduled=scheduled)

    def delete(self, audience: str) -> None:
        self._define(audience, kind="list", deleted=True)

    def _define(self, audience: str, *, id_type: str = ID_TYPE, **fields: Any) -> None:
        self.take(DefinitionStep(**self.next(), audience_id=audience, id_type=id_type, **fields))

    def run(self, *audiences: str) -> None:
        self.take(RunStep(**self.next(), audiences=list(audiences)))

    def patch(
        self, audience: str, operation: Literal["add", "remove", "replace", "clear"], identifiers: Iterable[str] = ()
    ) -> tuple[int, int]:
        """Returns how many entered and exited."""
        step, homes = self.next(), self.scatter(identifiers)
        applied = []
        for partition, here in enumerate(homes):
            if here or operation in ("replace", "clear"):
                patch = PatchStep(
                    **step, import_id=f"imp_p{self.step}", audience_id=audience, operation=operation, identifiers=here
                )
                applied += self.put(partition, step_headers(patch), encode(patch))
        counts = [result for result in applied if isinstance(result, Applied)]
        return sum(one.entered for one in counts), sum(one.exited for one in counts)

    def open(
        self,
        import_id: str,
        mode: Mode,
        *,
        on_day: int,
        lookback_days: int | None = None,
        event_time_ms: int | None = None,
        key: str = "k",
        sequencer: str | None = None,
    ) -> None:
        self.take(
            ImportOpenStep(
                **self.next(),
                import_id=import_id,
                feed_id="feed",
                mode=mode,
                day=day(on_day),
                event_time_ms=day_ms(on_day) if event_time_ms is None else event_time_ms,
                object_key=key,
                sequencer=sequencer,
                lookback_days=lookback_days,
                id_type=ID_TYPE,
            )
        )

    def apply(self, import_id: str, reading_id: str, audiences: Iterable[str]) -> list[Applied]:
        found = self.take(
            ImportApplyStep(**self.next(), import_id=import_id, reading_id=reading_id, audiences=sorted(audiences))
        )
        applied = [result for result in found if isinstance(result, Applied)]
        assert len(applied) == self.partitions
        return applied

    def weigh(self, import_id: str, reading_id: str, audiences: Iterable[str]) -> dict[str, tuple[int, int]]:
        """By audience how many members applying would remove, and how many there are."""
        found = self.take(
            ImportWeighStep(**self.next(), import_id=import_id, reading_id=reading_id, audiences=sorted(audiences))
        )
        assert [type(result) for result in found] == [Weighed] * self.partitions
        removals: dict[str, tuple[int, int]] = {}
        for result in found:
            assert isinstance(result, Weighed)
            for name, one in result.removals.items():
                removes, size = removals.get(name, (0, 0))
                removals[name] = removes + one.removes, size + one.size
        return removals

    def abort(self, import_id: str) -> None:
        self.take(ImportAbortStep(**self.next(), import_id=import_id))

    def tick(self, day_number: int) -> None:
        """The space's time reaches 00:00 of that day."""
        self.now_ms = max(self.now_ms, day_ms(day_number))
        self.take(TickStep(**self.next()))

    def snapshot(self, snapshot_id: str, audience: str) -> None:
        self.take(SnapshotStep(**self.next(), snapshot_id=snapshot_id, audience_id=audience))

    def activation(
        self,
        marker: Literal["started", "updated", "waiting", "paused", "resumed", "ended", "forgotten"],
        audience: str,
        *,
        resync: bool = False,
        replaces: bool = False,
        on_end: str = "keep",
        activation_id: str = "act_1",
    ) -> None:
        activation = Activation(
            space_id=SPACE,
            name=activation_id,
            created_at="",
            updated_at="",
            activation_id=activation_id,
            connection_id="con_1",
            audience_id=audience,
            destination_id="dst_1",
            on_end=on_end,
        )
        said = ActivationStep(**self.next(), marker=marker, activation=activation, queue="q1", resync=resync)
        self.take(msgspec.structs.replace(said, replaces=replaces))

    # What intake writes.

    def read(
        self,
        import_id: str,
        reading_id: str,
        rows: Rows,
        *,
        batch_rows: int = 3,
        sealed: bool = True,
        rows_more: int = 0,
        lost: int | None = None,
        garbled: int | None = None,
        doubled: bool = False,
    ) -> list[Result]:
        """A reading: batches to their partitions, then seals to all. The keywords after `sealed` spoil it:
        a seal that counts more rows, a batch of every partition left out or unreadable, every batch sent twice.
        """
        results: list[Result] = []
        for partition in range(self.partitions):
            home = [row for row in rows if member_partition(row[0], self.partitions) == partition]
            batches = list(row_batches(home, batch_rows))
            for sequence, batch in enumerate(batches):
                if sequence == lost:
                    continue
                value = b"garbage" if sequence == garbled else encode_rows(batch)
                for _ in range(2 if doubled else 1):
                    results += self.put(partition, rows_headers(import_id, reading_id, sequence), value)
            if sealed:
                seal = Seal(
                    space_id=SPACE,
                    import_id=import_id,
                    reading_id=reading_id,
                    batches=len(batches),
                    rows=len(home) + rows_more,
                )
                results += self.put(partition, headers_of("seal", f"{reading_id}.seal"), encode(seal))
        return results

    def upload(self, import_id: str, mode: Mode, rows: Rows, *, on_day: int, **order: Any) -> list[Applied]:
        """The whole life of an import that nothing comes in between of."""
        self.open(import_id, mode, on_day=on_day, **order)
        staged = self.read(import_id, f"{import_id}-r", rows)
        assert [type(result) for result in staged] == [Staged] * self.partitions
        return self.apply(import_id, f"{import_id}-r", {audience for _, audience in rows})

    def stream(
        self,
        events: Sequence[Event],
        *,
        feed: str = "feed_t",
        source: int = 0,
        topic: str = "t",
        at_ms: int | None = None,
        records_max: int | None = None,
    ) -> set[int]:
        """Events of one source partition, by rising offset, as intake sends one run of them. Returns the offsets sent:
        with `records_max` it dies after so many records.
        """
        written: set[int] = set()
        about = {"space_id": SPACE, "feed_id": feed, "topic": topic, "partition": source, "at_ms": at_ms}
        for home, headers, value, offsets in list(event_records(events, self.partitions, **about))[:records_max]:
            assert self.put(home, headers, value) == []
            written |= offsets
        return written

    # What a consumer knows.

    def size(self, audience: str) -> int:
        """The sum over the partitions."""
        return sum(size for (name, _), size in self._sizes.items() if name == audience)

    def sized(self, audience: str) -> int:
        """How many partitions have said a size."""
        return sum(name == audience for name, _ in self._sizes)

    def forget_changes(self) -> None:
        self.changes.clear()

    def changed(self, audience: str) -> dict[str, set[str]]:
        """Who entered and exited since `forget_changes`."""
        found: dict[str, set[str]] = {"entered": set(), "exited": set()}
        for change in self.changes:
            if change["audience_id"] == audience:
                found[change["change"]] |= set(change["members"])
        return found

    def causes(self, audience: str) -> set[tuple[str, str]]:
        """Causes of the changes since `forget_changes`."""
        return {(c["cause"]["kind"], c["cause"]["id"]) for c in self.changes if c["audience_id"] == audience}

    # The machinery.

    def next(self) -> dict[str, Any]:
        self.step += 1
        return {"space_id": SPACE, "step": self.step, "at_ms": self.now_ms}

    def take(self, step: Step) -> list[Result]:
        """Writes a step to all partitions."""
        found: list[Result] = []
        for partition in range(self.partitions):
            found += self.put(partition, step_headers(step), encode(step))
        return found

    def scatter(self, identifiers: Iterable[str]) -> list[list[str]]:
        homes: list[list[str]] = [[] for _ in range(self.partitions)]
        for identifier in identifiers:
            homes[member_partition(identifier, self.partitions)].append(identifier)
        return homes

    def put(self, partition: int, headers: Headers, value: bytes) -> list[Result]:
        """Writes one record, folds it, consumes what came of it; returns the results among it."""
        record = Record(INPUT, partition, len(self.log[partition]), 0, SPACE.encode(), value, headers)
        self.log[partition].append(record)
        results = []
        for out in self.folds[partition].handle([record], 0):
            self.outs[partition].append(out)
            result = self._consume(partition, out)
            if result is not None:
                results.append(result)
        self.results += results
        return results

    def _consume(self, partition: int, out: Out) -> Result | None:
        event_id = header(out.headers, "ce_id")
        kind = header(out.headers, "ce_type") or ""
        assert event_id is not None
        assert event_id not in self._ids, event_id
        self._ids.add(event_id)
        if out.topic == RESULTS:
            result: Result = msgspec.json.decode(out.value or b"", type=Result)
            assert kind == msgspec.to_builtins(result)["type"]
            return result
        assert out.partition == partition
        if out.topic == SIZES:
            self._consume_size(partition, out)
            return None
        assert out.topic == CHANGES
        said = msgspec.json.decode(out.value or b"")
        if "members" in said:
            assert 1 <= len(said["members"]) <= 1000
            assert {member_partition(member, self.partitions) for member in said["members"]} == {partition}
            assert header(out.headers, "ce_subject") == said["audience_id"]
        if kind in ("audience.entered", "audience.exited"):
            self._consume_change(said)
        elif kind == "audience.snapshot":
            self.snapshots.append(said)
        elif kind == "audience.difference":
            self.differences.append(said)
        else:
            self.markers.append((kind, said))
        return None

    def _consume_change(self, change: dict[str, Any]) -> None:
        members, named = self.members.setdefault(change["audience_id"], set()), set(change["members"])
        assert len(named) == len(change["members"])
        if change["change"] == "entered":
            assert members.isdisjoint(named)
            members |= named
        else:
            assert members >= named
            members -= named
        self.changes.append(change)

    def _consume_size(self, partition: int, out: Out) -> None:
        space, audience, at = (out.key or b"").decode().split("/")
        assert (space, at) == (SPACE, str(partition))
        if out.value is None:
            self._sizes.pop((audience, partition), None)
            return
        said = msgspec.json.decode(out.value)
        assert (said["partition"], said["partitions"]) == (partition, self.partitions)
        self._sizes[audience, partition] = said["size"]

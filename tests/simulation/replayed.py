"""The committed input of membership, replayed into the naive model step by step: what the changes must say.

Looks at the log as control and intake wrote it, all partitions at once, and knows nothing of how membership folds it.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from contracts import codec
from contracts.instants import DAY_MS, day_start_ms
from contracts.messages.entities import Expression
from contracts.messages.steps import (
    DefinitionStep,
    ImportAbortStep,
    ImportApplyStep,
    ImportOpenStep,
    ImportWeighStep,
    PatchStep,
    RunStep,
    Step,
)
from contracts.partitioning import member_partition
from contracts.records import Record
from services.domain.rows import decode_events, decode_rows, read_rows_header, read_stream_header
from tests.property.naive_membership import OLDEST, Import, Key, NaiveList, Patch, evaluated

Rows = Counter[tuple[str, str]]
"""(identity, audience id)."""


class Event(NamedTuple):
    """What was taken of a topic feed; `source` is topic, partition, offset."""

    source: tuple[str, int, int]
    identity: str
    audience: str
    operation: str


@dataclass
class Input:
    """The log sorted out: steps by space and number, rows by import and reading."""

    partitions: int
    steps: dict[str, dict[int, dict[int, Step]]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(dict)))
    readings: dict[tuple[str, str], Rows] = field(default_factory=lambda: defaultdict(Counter))
    events: dict[tuple[str, int], list[list[Event]]] = field(default_factory=lambda: defaultdict(list))
    """Of topic feeds, by the latest step and the record that they came in."""

    @classmethod
    def of(cls, records: Sequence[Record], partitions: int) -> "Input":
        """Raises `AssertionError` where the log itself is wrong."""
        log = cls(partitions)
        latest: dict[tuple[str, int], int] = {}
        batches: set[tuple[str, int, int]] = set()
        taken: dict[tuple[Any, ...], int] = {}
        for record in records:
            kind = codec.header(record.headers, "ce_type")
            if kind == "step":
                step: Step = codec.decode(record.value or b"", Step)  # type: ignore[arg-type]  # a union
                place = step.space_id, record.partition
                assert step.step > latest.get(place, 0), f"step {step.step} after {latest[place]} on {place}"
                latest[place] = step.step
                log.steps[step.space_id][step.step][record.partition] = step
            elif kind == "rows":
                header = read_rows_header(record.headers)
                batch_id = header.reading_id, record.partition, header.sequence
                if batch_id not in batches:
                    batches.add(batch_id)
                    batch = decode_rows(record.value or b"")
                    named = [batch.audiences[index] for index in batch.audience.tolist()]
                    rows = list(zip(batch.identities.texts(), named, strict=True))
                    assert all(member_partition(identity, partitions) == record.partition for identity, _ in rows)
                    log.readings[header.import_id, header.reading_id].update(rows)
            elif kind == "stream-rows":
                log._stream(record, latest, taken)
        return log

    def _stream(self, record: Record, latest: Mapping[tuple[str, int], int], taken: dict[tuple[Any, ...], int]) -> None:
        """The events of a record that were not taken before."""
        said = read_stream_header(record.headers)
        batch = decode_events(record.value or b"", said)
        place = record.partition, said.space_id, said.feed_id, said.topic, said.partition, batch.rows.identities.form
        step = latest[said.space_id, record.partition]
        named = [batch.rows.audiences[index] for index in batch.rows.audience.tolist()]
        fresh: list[Event] = []
        for offset, identity, audience, adds in zip(
            batch.offsets.tolist(), batch.rows.identities.texts(), named, batch.adds.tolist(), strict=True
        ):
            if offset >= taken.get(place, 0):
                taken[place] = offset + 1
                assert member_partition(identity, self.partitions) == record.partition
                source = said.topic, said.partition, offset
                fresh.append(Event(source, identity, audience, "add" if adds else "remove"))
        if fresh:
            self.events[said.space_id, step].append(fresh)

    def whole_steps(self, space: str) -> Iterator[list[Step]]:
        """The parts of each step, in order; all are the same but for patches."""
        for number, parts in sorted(self.steps[space].items()):
            some = list(parts.values())
            partial = isinstance(some[0], PatchStep) and some[0].operation in ("add", "remove")
            assert partial or len(parts) == self.partitions, f"step {number} of {space} is on {sorted(parts)} only"
            assert isinstance(some[0], PatchStep) or all(part == some[0] for part in some), f"step {number} of {space}"
            yield some
        assert sorted(self.steps[space]) == list(range(1, len(self.steps[space]) + 1)), f"{space} has gaps"


class Replay:
    """One space. After `take` of a step, `members` are those of every audience that is there then."""

    def __init__(self, log: Input) -> None:
        self.members: dict[str, set[str]] = {}
        self.applied: dict[str, tuple[ImportOpenStep, ImportApplyStep]] = {}  # by import
        self.patched: Counter[str] = Counter()  # steps by import
        self._log = log
        self._lists: dict[str, NaiveList] = {}
        self._composed: dict[str, Expression] = {}
        self._published: dict[str, set[str]] = {}  # members of scheduled audiences as of their latest run
        self._open: dict[str, ImportOpenStep] = {}
        self._weighed: set[str] = set()
        self._newest: Key = OLDEST
        self._known: set[str] = set()
        self._now_ms = 0

    def take(self, parts: Sequence[Step]) -> None:
        """One step with all its parts."""
        step = parts[0]
        running: Sequence[str] = ()
        assert step.at_ms >= self._now_ms, "time never goes back"
        self._now_ms = step.at_ms
        match step:
            case DefinitionStep():
                self._define(step)
            case PatchStep():
                self._patch(step, [part for part in parts if isinstance(part, PatchStep)])
            case ImportOpenStep():
                assert step.import_id not in self._open | self.applied, "opened twice"
                self._open[step.import_id] = step
                self._newest = max(self._newest, _order(step))
            case ImportApplyStep():
                self._apply(step)
            case ImportAbortStep():
                del self._open[step.import_id]
            case ImportWeighStep():
                self._weighed.add(step.import_id)
            case RunStep():
                running = step.audiences
            case _:
                pass
        self._evaluate(running)
        self._take_events(step, self._log.events.get((step.space_id, step.step), []))

    def _take_events(self, latest: Step, records: Sequence[Sequence[Event]]) -> None:
        """What each record does is seen: whoever has entered by one is known, although the next takes him out."""
        places = count(1)
        share = 1 / (1 + sum(map(len, records)))
        for events in records:
            for event in events:
                self._take_event(event, latest.step + next(places) * share)
            self._evaluate(())

    def _take_event(self, event: Event, place: float) -> None:
        """A patch of one identity between two steps. What is deleted since takes none."""
        audience = self._lists.get(event.audience)
        if audience is not None:
            audience.events.append(Patch(place, event.operation, {event.identity}, self._newest, 0))

    def _define(self, step: DefinitionStep) -> None:
        if step.deleted:
            for there in (self._lists, self._composed, self._published):
                there.pop(step.audience_id, None)
            return
        if step.expression is not None:
            self._composed[step.audience_id] = step.expression
        else:
            self._lists.setdefault(step.audience_id, NaiveList())
        if not step.scheduled:
            self._published.pop(step.audience_id, None)
        elif step.audience_id not in self._published:
            self._published[step.audience_id] = self.members.get(step.audience_id, set())

    def _patch(self, step: PatchStep, parts: Sequence[PatchStep]) -> None:
        operation = "replace" if step.operation == "clear" else step.operation
        named = {identity for part in parts for identity in part.identifiers}
        day_ms = step.at_ms // DAY_MS * DAY_MS
        self.patched[step.import_id] += 1
        self._lists[step.audience_id].events.append(Patch(step.step, operation, named, self._newest, day_ms))

    def _apply(self, step: ImportApplyStep) -> None:
        opened = self._open.pop(step.import_id)
        self.applied[step.import_id] = opened, step
        rows = self._log.readings.get((step.import_id, step.reading_id), Counter())
        named, applies = {audience for _, audience in rows} & self._lists.keys(), set(step.audiences)
        outdated = named - applies if step.import_id in self._weighed else set()  # by a newer one, while it was held
        assert named - outdated == applies, f"step {step.step}: {named}, not {applies}"
        order, day_ms, lookback_days = _order(opened), day_start_ms(opened.day), opened.lookback_days
        if opened.mode == "append" and day_ms + (lookback_days or 0) * DAY_MS <= step.at_ms:
            return
        for audience_id in step.audiences:
            audience = self._lists[audience_id]
            if opened.mode == "remove" or order >= audience.order():
                named = {identity for identity, where in rows if where == audience_id}
                audience.events.append(Import(opened.step, order, opened.mode, day_ms, lookback_days, named))

    def _evaluate(self, running: Collection[str]) -> None:
        """Where the scheduled audiences of `running` have just run."""
        identities = {
            identity for one in self._lists.values() for event in one.events for identity in event.named
        } | self._known
        still = {name: members for name, members in self._published.items() if name not in running}
        lists = {
            name: {identity for identity in identities if one.is_member(identity, self._now_ms)}
            for name, one in self._lists.items()
            if name not in still
        }
        self._known |= {identity for members in (lists | still).values() for identity in members}
        moving = {name: node for name, node in self._composed.items() if name not in still}
        self.members = evaluated(lists | still, moving, self._known)
        self._published |= {name: self.members[name] for name in running}


def _order(step: ImportOpenStep) -> tuple[Any, ...]:
    """S3's sequencers count as padded with zeros on the right."""
    padded = (step.sequencer or "").lower().ljust(64, "0")
    return day_start_ms(step.day), step.event_time_ms, step.object_key, padded, step.import_id

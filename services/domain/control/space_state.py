"""All that control knows of one space: its catalogue, its counters, and what is under way."""

from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import msgspec

from contracts.messages.control_state import (
    Advancing,
    ControlState,
    DeliveredAudience,
    Delivering,
    InFlight,
    Lanes,
    Phase,
    Remembered,
    SeenObject,
    SpaceCounters,
    StateEntry,
    Tombstone,
    Verifying,
)
from contracts.messages.entities import Activation, Audience, CatalogueEntity
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.table import Table
from services.domain.control.timetable import Timetable

S = TypeVar("S", bound=StateEntry)

BASE_DAYS_MAX = 5_000  # more than 13 years of daily full refreshes


class SpaceState:
    """Every row is immutable and every change is remembered until `drain`, so that the changelog misses none."""

    def __init__(self, counters: SpaceCounters) -> None:
        self.space_id = counters.space_id
        self.catalogue = Catalogue()
        self.imports: Table[InFlight] = Table()
        self.objects: Table[SeenObject] = Table()
        self.replies: Table[Remembered] = Table()
        self.advances: Table[Advancing] = Table()
        self.verifying: Table[Verifying] = Table()
        self.deliveries: Table[Delivering] = Table()
        self.lanes: Table[Lanes] = Table()
        self.delivered: Table[DeliveredAudience] = Table()
        self._tombstones: Table[Tombstone] = Table()
        self.counters = counters
        self._written = counters  # as they were last drained or loaded
        self._timetable = Timetable()

    @classmethod
    def fresh(cls, space_id: str, at_ms: int) -> "SpaceState":
        """A space of which nothing is known."""
        return cls(SpaceCounters(space_id=space_id, id="-", time_ms=at_ms))

    @property
    def is_manual(self) -> bool:
        """Whether the space's time moves only by command."""
        space = self.catalogue.space
        return space is not None and space.clock == "manual"

    def time_ms(self, now_ms: int) -> int:
        """The space's time; it never goes back, whatever the machine's clock does."""
        left = self.counters.time_ms
        return left if left >= now_ms or self.is_manual else now_ms

    def move_time(self, at_ms: int) -> None:
        """The space's time reaches `at_ms`: what was to expire by then has been ticked."""
        before = self.counters
        assert at_ms >= before.time_ms, "time never goes back"
        if at_ms == before.time_ms and (not before.expiries_ms or before.expiries_ms[0] > at_ms):
            return
        left = [one for one in before.expiries_ms if one > at_ms]
        self.counters = msgspec.structs.replace(before, time_ms=at_ms, expiries_ms=left)

    def set_time(self, at_ms: int) -> None:
        """Where the clock of a new space begins."""
        self.counters = msgspec.structs.replace(self.counters, time_ms=at_ms)

    def take_step(self) -> int:
        """The number of the next step."""
        self.counters = msgspec.structs.replace(self.counters, step=self.counters.step + 1)
        return self.counters.step

    def take_sequence(self) -> int:
        """A number greater than all before, for what is forgotten oldest first."""
        self.counters = msgspec.structs.replace(self.counters, sequence=self.counters.sequence + 1)
        return self.counters.sequence

    def count_command(self, second: int) -> int:
        """One more command of that second; how many there are of it."""
        before = self.counters
        commands = before.commands + 1 if second == before.second else 1
        self.counters = msgspec.structs.replace(before, second=second, commands=commands)
        return commands

    def identifiers_of(self, day: int) -> int:
        """How many identifiers commands have brought on that day."""
        return self.counters.identifiers if day == self.counters.day else 0

    def count_identifiers(self, day: int, count: int) -> None:
        """So many more on that day."""
        identifiers = self.identifiers_of(day) + count
        self.counters = msgspec.structs.replace(self.counters, day=day, identifiers=identifiers)

    def note_base(self, day_ms: int) -> None:
        """A full refresh of that day was applied: appends on top let it expire (engine.md §1)."""
        before = self.counters
        days = sorted({*before.base_days_ms, day_ms})[-BASE_DAYS_MAX:]
        ends = [day_ms + lookback * 86_400_000 for lookback in before.lookbacks_days]
        self.counters = msgspec.structs.replace(before, base_days_ms=days, expiries_ms=self._expiries(ends))

    def note_append(self, day_ms: int, lookback_days: int) -> None:
        """An append of that day was applied: its layer leaves, and so does the base that it stands on."""
        before = self.counters
        lookbacks = sorted({*before.lookbacks_days, lookback_days})
        ends = [one + lookback_days * 86_400_000 for one in (day_ms, *before.base_days_ms)]
        self.counters = msgspec.structs.replace(before, lookbacks_days=lookbacks, expiries_ms=self._expiries(ends))

    def bury(self, kind: str, id_: str) -> None:
        """The id is not accepted again."""
        self._tombstones.put(f"{kind}.{id_}", Tombstone(space_id=self.space_id, id=f"{kind}.{id_}"))

    def imports_in(self, *phases: Phase) -> list[InFlight]:
        """The imports in these phases, in the order of ids. Those that a command applies may be many: none is seen."""
        ids = sorted(self.imports.having("phase", phases))
        return [flight for flight in map(self.imports.get, ids) if flight is not None]

    def activation_changed(self, before: Activation | None, now: Activation | None) -> None:
        """Its start, end and uploads are others, None: there is none."""
        self._timetable.activation(before, now)

    def activations_at(self, at_ms: int) -> Iterator[tuple[Activation, bool]]:
        """The activations that start, end or send all members again at that instant, and whether they do the last."""
        for id_, uploads in self._timetable.activations_at(at_ms):
            activation = self.catalogue.activations.get(id_)
            assert activation is not None, "the timetable follows the catalogue"
            yield activation, uploads

    def audience_changed(self, before: Audience | None, now: Audience | None) -> None:
        """Its runs are others, None: there is none."""
        self._timetable.audience(before, now)

    def runs(self) -> dict[int, list[str]]:
        """The scheduled audiences by the minutes of the day at which they run."""
        return self._timetable.runs

    def note_run(self, minute: int) -> None:
        """The latest step was the run of that minute of the day."""
        self.counters = msgspec.structs.replace(self.counters, run_step=self.counters.step, run_minute=minute)

    def next_instant_ms(self) -> int | None:
        """When something is due next by the space's own time."""
        left = self.counters.time_ms
        due = [*self.counters.expiries_ms[:1], *self._timetable.next_ms(left)]
        due += self._import_instants()
        return min(due, default=None)

    def count_due(self, until_ms: int) -> int:
        """At most how many things are due by the space's own time until then, as far as is known now."""
        left, days_ms = self.counters.time_ms, self.counters.expiries_ms
        imports = sum(left < instant <= until_ms for instant in self._import_instants())
        return bisect_right(days_ms, until_ms) + imports + self._timetable.count(left, until_ms)

    def _import_instants(self) -> Iterator[int]:
        for one in self.imports_in("waiting", "ready"):
            yield from _instants(one)

    def due_ms(self) -> int | None:
        """When something is due next by the machine's clock."""
        due = [at for one in self.imports_in("waiting", "delayed", "reading") for at in _deadlines(one)]
        due += [one.deadline_ms for one in self.verifying.unordered()]
        instant = None if self.is_manual or self.catalogue.space is None else self.next_instant_ms()
        if instant is not None:
            due.append(instant)
        return min(due, default=None)

    def load(self, entry: ControlState) -> None:
        """An entry as it was restored; those with a `sequence` come in its order."""
        match entry:
            case SpaceCounters():
                self.counters = self._written = entry
            case Tombstone():
                self._tombstones.load(entry.id, entry)
                kind, _, id_ = entry.id.partition(".")
                self.catalogue.load_gone(kind, id_)
            case InFlight():
                self.imports.load(entry.id, entry)
            case SeenObject():
                self.objects.load(entry.id, entry)
            case Remembered():
                self.replies.load(entry.id, entry)
            case Advancing():
                self.advances.load(entry.id, entry)
            case Verifying():
                self.verifying.load(entry.id, entry)
            case Delivering():
                self.deliveries.load(entry.id, entry)
            case Lanes():
                self.lanes.load(entry.id, entry)
            case DeliveredAudience():
                self.delivered.load(entry.id, entry)

    def load_entity(self, entity: CatalogueEntity) -> None:
        """An entity as it was restored."""
        self.catalogue.load(entity)
        self._timetable.entity(None, entity)

    def drain(self) -> Iterator[tuple[str, str, ControlState | None]]:
        """(tag, id, entry) of what has changed since the last call, None for what is gone."""
        if self.counters is not self._written:
            self._written = self.counters
            yield _tag(SpaceCounters), self.counters.id, self.counters
        yield from _tagged(Tombstone, self._tombstones)
        yield from _tagged(InFlight, self.imports)
        yield from _tagged(SeenObject, self.objects)
        yield from _tagged(Remembered, self.replies)
        yield from _tagged(Advancing, self.advances)
        yield from _tagged(Verifying, self.verifying)
        yield from _tagged(Delivering, self.deliveries)
        yield from _tagged(Lanes, self.lanes)
        yield from _tagged(DeliveredAudience, self.delivered)

    @contextmanager
    def tried_out(self) -> Iterator[None]:
        """What is done within is undone at the end, at the cost of what it changes."""
        tables = (
            self.imports,
            self.objects,
            self.replies,
            self.advances,
            self.verifying,
            self.deliveries,
            self.lanes,
            self.delivered,
            self._tombstones,
        )
        counters = self.counters
        self.catalogue.try_out()
        for table in tables:
            table.try_out()
        try:
            yield
        finally:
            for tried, entity in self.catalogue.undo():
                self._timetable.entity(tried, entity)
            for table in tables:
                table.undo()
            self.counters = counters

    def _expiries(self, more: list[int]) -> list[int]:
        left = self.counters.time_ms
        return sorted({*self.counters.expiries_ms, *(at for at in more if at > left)})


def _instants(flight: InFlight) -> Iterator[int]:
    """When something is due for an import by the time of the space."""
    if flight.ready is not None and flight.ready.lapses_ms is not None:
        yield flight.ready.lapses_ms
    if flight.waiting is not None:
        yield from (at for at in (flight.waiting.opens_ms, flight.waiting.lapses_ms) if at is not None)


def _deadlines(flight: InFlight) -> Iterator[int]:
    """When something is due for an import by the machine's clock."""
    settles_ms = None if flight.waiting is None else flight.waiting.settles_ms
    yield from (at for at in (flight.retry_ms, flight.deadline_ms, settles_ms) if at is not None)


def _tagged(kind: type[S], table: Table[S]) -> Iterator[tuple[str, str, S | None]]:
    for id_, entry in table.drain():
        yield _tag(kind), id_, entry


def _tag(kind: type[StateEntry]) -> str:
    return str(kind.__struct_config__.tag)

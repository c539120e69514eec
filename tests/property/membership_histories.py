"""Random histories, played to membership and to the naive model at once; they are compared after every step.

What they are made of is drawn by `membership_operations`.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from contracts.messages.entities import Expression
from contracts.messages.results import Applied, ReadingBroken, Staged
from contracts.partitioning import member_partition
from tests.property.membership_operations import UNIVERSE, Order
from tests.property.naive_membership import OLDEST, Import, Key, NaiveList, Patch, evaluated
from tests.unit.domain.membership.world import DAY_MS, Mode, World, day_ms, expression

PARTITIONS = 2
# Days on which histories happen; imports may be up to four days late.
FIRST_DAY = 10

Form = str | dict[str, Any]

SPOILT: dict[str, dict[str, Any]] = {
    "doubled": {"doubled": True},
    "unsealed": {"sealed": False},
    "lost": {"lost": 0},
    "garbled": {"garbled": 0},
    "miscounted": {"rows_more": 1},
}


@dataclass
class Opened:
    """An open import: what the model knows of it, the lists that it may name, and its whole readings."""

    opened: int
    order: Key
    mode: Mode
    day_ms: int
    lookback_days: int | None
    lists: list[str]
    whole: dict[str, list[tuple[str, str]]] = field(default_factory=dict)


class Histories:
    """Plays operations to a `World` and to the model; each names things by index into what exists."""

    def __init__(self) -> None:
        self.world = World(PARTITIONS)
        self.world.now_ms = day_ms(FIRST_DAY)
        self.lists: dict[str, NaiveList] = {}
        self.composed: dict[str, Expression] = {}
        self.spelled: dict[str, Form] = {}
        self.published: dict[str, set[str]] = {}  # members of scheduled audiences as of their latest run
        self.known: set[str] = set()
        self.imports: dict[str, Opened] = {}
        self.newest: Key = OLDEST
        self.made = 0
        self.offset = 0  # of the next event of the topic feed
        self.destination: set[str] | None = None  # of the one activation; None where it has nothing
        self.ended = True
        self.frozen = False
        self.activated = ""
        for _ in range(2):
            self.define()

    def play(self, operation: tuple[Any, ...]) -> None:
        self.world.forget_changes()
        self.world.snapshots.clear()
        self.world.differences.clear()
        before = {name: self.members(name) for name in self.lists}
        kind, *arguments = operation
        applied: Sequence[Applied] = getattr(self, kind)(*arguments) or ()
        self.check_members()
        if applied:
            after = {name: self.members(name) for name in self.lists}
            assert sum(one.entered for one in applied) == sum(
                len(after[name] - before.get(name, set())) for name in after
            )
            assert sum(one.exited for one in applied) == sum(
                len(before.get(name, set()) - after[name]) for name in after
            )

    def members(self, name: str) -> set[str]:
        """Of a list, as published."""
        return self.published[name] if name in self.published else self.collected(name)

    def collected(self, name: str) -> set[str]:
        """Of a list, as its layers are."""
        return {one for one in UNIVERSE if self.lists[name].is_member(one, self.world.now_ms)}

    def all_members(self, *, running: Collection[str] = ()) -> dict[str, set[str]]:
        """Of all audiences, where the `running` have just run."""
        lists = {name: self.collected(name) if name in running else self.members(name) for name in self.lists}
        self.known |= {identity for members in lists.values() for identity in members}
        still = {name: members for name, members in self.published.items() if name not in {*running, *self.lists}}
        moving = {name: node for name, node in self.composed.items() if name not in still}
        return evaluated(lists | still, moving, self.known)

    def check_members(self) -> None:
        members = self.all_members()
        assert {name: found for name, found in self.world.members.items() if found} == {
            name: found for name, found in members.items() if found
        }
        assert {name: self.world.size(name) for name in members} == {
            name: len(found) for name, found in members.items()
        }
        for name in self.world.members:
            changed = self.world.changed(name)
            assert changed["entered"].isdisjoint(changed["exited"])
        self.check_destination(members)

    def check_destination(self, members: dict[str, set[str]]) -> None:
        """What a destination has is its audience, while its activation goes on."""
        if self.destination is None or self.frozen:
            return
        for change in (*self.world.changes, *self.world.differences, *self.world.snapshots):
            if change["audience_id"] == self.activated:
                named = set(change["members"])
                entered = change.get("change", "entered") == "entered"
                self.destination = self.destination | named if entered else self.destination - named
        assert self.destination == members.get(self.activated, set())

    # Operations.

    def define(self) -> None:
        name = f"l{self.made}"
        self.made += 1
        self.lists[name] = NaiveList()
        self.world.define(name)

    def delete(self, at: int) -> None:
        names = [*self.lists, *self.composed]
        if len(names) < 2:
            return
        name = names[at % len(names)]
        self.lists.pop(name, None)
        self.composed.pop(name, None)
        self.published.pop(name, None)
        self.world.delete(name)

    def compose(self, at: int, form: Any) -> None:
        """Defines anew, or redefines one; parts are lists and compositions of smaller names: no cycles."""
        names = sorted(self.composed)
        name = f"x{self.made:03d}" if at >= len(names) else names[at]
        self.made += 1
        parts = [*self.lists, *(other for other in names if other < name), "never"]
        spelled = spell(form, parts)
        if name not in self.composed and at % 3 == 0:
            self.published[name] = set()
        self.composed[name], self.spelled[name] = expression(spelled), spelled
        self.world.compose(name, spelled, scheduled=name in self.published)

    def reschedule(self, at: int) -> None:
        """From continuous to scheduled, or back."""
        names = [*self.lists, *self.composed]
        name = names[at % len(names)] if names else ""
        if not name:
            return
        if name in self.published:
            del self.published[name]
        else:
            self.published[name] = self.all_members()[name]
        if name in self.lists:
            self.world.define(name, scheduled=name in self.published)
        else:
            self.world.compose(name, self.spelled[name], scheduled=name in self.published)

    def run(self, which: list[int]) -> None:
        """Some scheduled audiences at once."""
        names = sorted(self.published)
        running = {names[at % len(names)] for at in which if names}
        members = self.all_members(running=running)
        self.published |= {name: members[name] for name in running}
        self.world.run(*sorted(running))
        assert all({kind for kind, _ in self.world.causes(name)} <= {"run"} for name in running)

    def patch(
        self, operation: Literal["add", "remove", "replace", "clear"], at: int, named: list[str]
    ) -> list[Applied]:
        name = self.pick(at)
        told = [] if operation == "clear" else named
        known_as = "replace" if operation == "clear" else operation
        done = len(self.world.results)
        self.world.patch(name, operation, told)
        day = self.world.now_ms // DAY_MS * DAY_MS
        self.lists[name].events.append(Patch(self.world.step, known_as, set(told), self.newest, day))
        return [result for result in self.world.results[done:] if isinstance(result, Applied)]

    def stream(self, at: int, events: list[tuple[str, str]]) -> None:
        """A run of events of a topic feed."""
        name = self.pick(at)
        day = self.world.now_ms // DAY_MS * DAY_MS
        first = self.offset
        self.offset += len(events)
        if events:
            self.world.stream([(offset, one, name, op) for offset, (one, op) in enumerate(events, start=first)])
        for offset, (one, op) in enumerate(events, start=first):
            self.lists[name].events.append(Patch(self.world.step + (offset + 1) / 1e6, op, {one}, self.newest, day))

    def upload(self, order: Order, named: list[tuple[str, int]], commands: list[tuple[Any, ...]]) -> None:
        """The life of an import, with commands while it is being read."""
        self.open(order)
        import_id = [*self.imports][-1]
        for command in commands:
            self.play(("patch", *command))
        self._read(import_id, named, "whole")
        if self.imports[import_id].whole:
            self.play(("apply_one", import_id))

    def apply_one(self, import_id: str) -> list[Applied]:
        return self._apply(import_id, 0)

    def open(self, order: Order) -> None:
        mode, lookback, late, (time, key, sequencer) = order
        import_id = f"imp{self.made:03d}"
        self.made += 1
        on_day = (self.world.now_ms - day_ms(1)) // DAY_MS + 1 + late
        lookback_days = lookback if mode == "append" else None
        at_ms = day_ms(on_day) + time
        self.world.open(
            import_id,
            mode,
            on_day=on_day,
            lookback_days=lookback_days,
            event_time_ms=at_ms,
            key=key,
            sequencer=sequencer,
        )
        padded = (sequencer or "").lower().ljust(8, "0")
        ordered = (day_ms(on_day), at_ms, key, padded, import_id)
        self.newest = max(self.newest, ordered)
        self.imports[import_id] = Opened(
            self.world.step, ordered, mode, day_ms(on_day), lookback_days, list(self.lists)
        )

    def read(self, at: int, named: list[tuple[str, int]], flavour: str) -> None:
        if self.imports:
            self._read([*self.imports][at % len(self.imports)], named, flavour)

    def _read(self, import_id: str, named: list[tuple[str, int]], flavour: str) -> None:
        opened = self.imports[import_id]
        reading_id = f"r{self.made:03d}"
        self.made += 1
        if not opened.lists:
            return
        rows = [(identity, opened.lists[which % len(opened.lists)]) for identity, which in named]
        results = self.world.read(import_id, reading_id, rows, **SPOILT.get(flavour, {}))
        staged = [result for result in results if isinstance(result, Staged)]
        broken = [result for result in results if isinstance(result, ReadingBroken)]
        if flavour in ("whole", "doubled"):
            assert (len(staged), broken) == (PARTITIONS, [])
            assert sum(one.rows for one in staged) == len(rows)
            assert sum(one.distinct for one in staged) == len(set(rows))
            opened.whole[reading_id] = rows
        elif flavour == "unsealed":
            assert results == []
        elif flavour == "miscounted":
            assert (staged, len(broken)) == ([], PARTITIONS)
        else:
            concerned = {member_partition(identity, PARTITIONS) for identity, _ in rows}
            assert len(broken) == len(concerned)

    def apply(self, at: int) -> list[Applied]:
        ready = [import_id for import_id, opened in self.imports.items() if opened.whole]
        return self._apply(ready[at % len(ready)], at) if ready else []

    def _apply(self, import_id: str, at: int) -> list[Applied]:
        opened = self.imports.pop(import_id)
        reading_id, rows = list(opened.whole.items())[at % len(opened.whole)]
        named = by_list(rows)
        expired = opened.mode == "append" and opened.day_ms + (opened.lookback_days or 0) * DAY_MS <= self.world.now_ms
        superseded = []
        for name in sorted(named.keys() & self.lists.keys()):
            audience = self.lists[name]
            if opened.mode != "remove" and opened.order < audience.order():
                superseded.append(name)
            elif not expired:
                audience.events.append(
                    Import(opened.opened, opened.order, opened.mode, opened.day_ms, opened.lookback_days, named[name])
                )
        applied = self.world.apply(import_id, reading_id, named)
        assert {(tuple(one.superseded), one.expired) for one in applied} == {(tuple(superseded), expired)}
        return applied

    def weigh(self, at: int) -> None:
        """What a full refresh would remove, if it were applied now."""
        ready = [one for one, opened in self.imports.items() if opened.whole and opened.mode == "replace"]
        if not ready:
            return
        import_id = ready[at % len(ready)]
        opened = self.imports[import_id]
        reading_id, rows = list(opened.whole.items())[at % len(opened.whole)]
        opened.whole = {reading_id: rows}  # others are forgotten
        expected = {}
        for name, named in by_list(rows).items():
            if name in self.lists and opened.order >= self.lists[name].order():
                then = self.lists[name].after(
                    Import(opened.opened, opened.order, "replace", opened.day_ms, None, named)
                )
                stay = {one for one in UNIVERSE if then.is_member(one, self.world.now_ms)}
                expected[name] = len(self.members(name) - stay), len(self.members(name))
        assert self.world.weigh(import_id, reading_id, by_list(rows)) == expected

    def abort(self, at: int) -> None:
        if self.imports:
            import_id = [*self.imports][at % len(self.imports)]
            del self.imports[import_id]
            self.world.abort(import_id)

    def tick(self, days: int) -> None:
        self.world.tick((self.world.now_ms - day_ms(1)) // DAY_MS + 1 + days)

    def activation(self, marker: str, at: int) -> None:
        """One activation after the other: started where none runs, else what may follow; `kept` ends without removal."""
        match marker:
            case "started" if self.ended:
                if self.destination is None:
                    names = [*self.lists, *self.composed]
                    self.activated, self.destination = names[at % len(names)], set()
                    self.world.activation("started", self.activated, resync=True)
                else:  # it goes on: the destination has what it was left with
                    self.world.activation("started", self.activated, resync=at % 2 == 0)
                self.ended = self.frozen = False
            case "forgotten" if self.ended and self.destination is not None:
                self.world.activation("forgotten", self.activated)
                self.destination = None
            case "paused" | "resumed" if not self.ended:
                self.world.activation("paused" if marker == "paused" else "resumed", self.activated)
                self.frozen = marker == "paused"
            case "updated" if not self.ended:
                self.world.activation("updated", self.activated, resync=at % 2 == 0 and not self.frozen)
            case "kept" if not self.ended:
                self.world.activation("ended", self.activated, on_end="keep")
                self.ended = self.frozen = True
            case "ended" if not self.ended:
                self.world.activation("ended", self.activated, on_end="remove")
                taken = {member for said in self.world.differences for member in said["members"]}
                assert taken == self.destination
                self.destination, self.ended = None, True

    def pick(self, at: int) -> str:
        if not self.lists:
            self.define()
        return [*self.lists][at % len(self.lists)]


def by_list(rows: list[tuple[str, str]]) -> dict[str, set[str]]:
    """Whom the rows name, by list."""
    named: dict[str, set[str]] = {}
    for identity, name in rows:
        named.setdefault(name, set()).add(identity)
    return named


def spell(form: Any, parts: list[str]) -> Form:
    """Indices to names."""
    if isinstance(form, int):
        return parts[form % len(parts)]
    ((key, value),) = form.items()
    return {key: spell(value, parts) if key == "not" else [spell(part, parts) for part in value]}


def played(history: list[tuple[Any, ...]]) -> Histories:
    told = Histories()
    for operation in history:
        told.play(operation)
    return told

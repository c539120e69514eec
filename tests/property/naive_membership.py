"""Membership as engine.md words it, one identity at a time, from the whole history: no bitmaps, no layers, no order kept.

An audience remembers what happened to it; whether an identity is a member is decided anew each time by looking at all
of it. Slow, and so different from the engine that both being wrong in the same way is unlikely.
"""

from dataclasses import dataclass
from typing import Any

from contracts.messages.entities import Expression
from tests.unit.domain.membership.world import DAY_MS

Key = tuple[Any, ...]
OLDEST: Key = ()


@dataclass(eq=False)
class Import:
    """An import as it was applied to one audience, neither expired nor superseded."""

    opened: int
    order: Key
    mode: str
    day_ms: int
    lookback_days: int | None
    named: set[str]


@dataclass(eq=False)
class Patch:
    """A command; a clear is a replace by nobody. `order` is the newest import opened before it.

    Also an event of a topic feed: its step lies between that of the latest step and the next.
    """

    step: float
    operation: str
    named: set[str]
    order: Key
    day_ms: int


class NaiveList:
    """A list audience: its commands and the imports that took effect, in the order in which they were applied."""

    def __init__(self) -> None:
        self.events: list[Patch | Import] = []

    def base(self) -> Patch | Import | None:
        """The newest full refresh since the last replace or clear, else that."""
        cleared = self._cleared()
        fulls = [e for e in self.events if isinstance(e, Import) and e.mode == "replace" and self._counts(e, cleared)]
        newest = max(fulls, key=lambda full: full.order, default=None)
        return newest or cleared

    def order(self) -> Key:
        """What an import must not be older than."""
        base = self.base()
        return OLDEST if base is None else base.order

    def is_member(self, identity: str, now_ms: int) -> bool:
        """Whether any layer holds it."""
        base = self.base()
        order = OLDEST if base is None else base.order
        cleared = self._cleared()
        appends = [
            e
            for e in self.events
            if isinstance(e, Import) and e.mode == "append" and e.order > order and self._counts(e, cleared)
        ]
        if any(self._holds(e, identity) and e.day_ms + (e.lookback_days or 0) * DAY_MS > now_ms for e in appends):
            return True
        shortest = min((e.lookback_days or 0 for e in appends), default=None)
        aged = base is not None and shortest is not None and base.day_ms + shortest * DAY_MS <= now_ms
        if base is not None and not aged and self._holds(base, identity):
            return True
        return self._is_added(identity, base.opened if isinstance(base, Import) else base.step if base else 0)

    def after(self, applied: Import) -> "NaiveList":
        """As it would be with one import more."""
        other = NaiveList()
        other.events = [*self.events, applied]
        return other

    def _cleared(self) -> Patch | None:
        return next((e for e in reversed(self.events) if isinstance(e, Patch) and e.operation == "replace"), None)

    def _counts(self, event: Import, cleared: Patch | None) -> bool:
        return cleared is None or event.opened > cleared.step

    def _holds(self, layer: Patch | Import, identity: str) -> bool:
        """Whether the layer names it and no removal since has taken it out."""
        position = layer.step if isinstance(layer, Patch) else layer.opened
        applied = self.events.index(layer)
        return identity in layer.named and not any(
            place > position or (at > applied and isinstance(event, Import))
            for at, event, place in self._removals(identity)
        )

    def _is_added(self, identity: str, since: float) -> bool:
        """Whether the latest add or removal of it after `since` is an add."""
        found = [(place, False) for _, _, place in self._removals(identity) if place > since]
        found += [
            (e.step, True)
            for e in self.events
            if isinstance(e, Patch) and e.operation == "add" and identity in e.named and e.step > since
        ]
        return max(found, default=(0, False))[1]

    def _removals(self, identity: str) -> list[tuple[int, Patch | Import, float]]:
        """(place among the events, event, step that it counts at) of what takes it out."""
        found: list[tuple[int, Patch | Import, float]] = []
        cleared = 0.0
        for at, event in enumerate(self.events):
            if isinstance(event, Patch):
                cleared = event.step if event.operation == "replace" else cleared
                if event.operation == "remove" and identity in event.named:
                    found.append((at, event, event.step))
            elif event.mode == "remove" and identity in event.named and event.opened > cleared:
                found.append((at, event, event.opened))
        return found


def selects(node: Expression, identity: str, members: dict[str, set[str]]) -> bool:
    """Whether an expression selects an identity that is known."""
    if node.audience is not None:
        return identity in members.get(node.audience, set())
    if node.not_ is not None:
        return not selects(node.not_, identity, members)
    if node.and_ is not None:
        return all(selects(part, identity, members) for part in node.and_)
    return any(selects(part, identity, members) for part in node.or_ or [])


def evaluated(lists: dict[str, set[str]], composed: dict[str, Expression], known: set[str]) -> dict[str, set[str]]:
    """The members of all audiences; repeated until nothing moves, since there are no cycles."""
    members = dict(lists)
    for _ in range(len(composed) + 1):
        for name, node in composed.items():
            members[name] = {identity for identity in known if selects(node, identity, members)}
    return members

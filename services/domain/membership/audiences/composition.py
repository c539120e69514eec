"""The composed audiences of a space: re-evaluated after the parts that changed, in dependency order.

Small steps look at touched identities only, the smallest at each of them, large ones at whole bitmaps; all give the
same (a property test).
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from heapq import heappop, heappush
from typing import Final

from pyroaring import BitMap

from services.domain.membership.audiences.algebra import evaluate, parts_of, selects, selects_strangers
from services.domain.membership.audiences.members import UNCHANGED, ComposedAudience, Difference

MembersOf = Callable[[str, str], BitMap]
"""The present members of an audience (by id) of an id type; none where there is no such audience of that type."""

# From here on whole bitmaps are cheaper than cutting every leaf to the touched: an eighth of what they hold.
_WHOLE_SHARE: Final = 8
_FEW: Final = 8  # up to here one by one is cheaper than a set of them for each leaf


class Composition:
    """Composed audiences in an order in which each comes after its parts."""

    def __init__(self) -> None:
        self._audiences: dict[str, ComposedAudience] = {}
        self._parts: dict[str, frozenset[str]] = {}
        self._order: tuple[str, ...] = ()
        self._places: dict[str, int] = {}
        self._users: dict[str, list[int]] = {}  # by part, the places in the order of what is composed of it
        self._of_strangers: set[str] = set()

    def define(self, audience: ComposedAudience) -> None:
        """Adds or redefines one; raises ValueError where it would be part of itself."""
        self._audiences[audience.audience_id] = audience
        self._parts[audience.audience_id] = parts_of(audience.expression)
        self._of_strangers.discard(audience.audience_id)
        if selects_strangers(audience.expression):
            self._of_strangers.add(audience.audience_id)
        self._arrange()

    def remove(self, audience_id: str) -> None:
        """It is composed no more; what it was part of finds it empty."""
        for by_id in (self._audiences, self._parts):
            by_id.pop(audience_id, None)
        self._of_strangers.discard(audience_id)
        self._arrange()

    def settle(
        self,
        differences: Mapping[str, Difference],
        grown: Mapping[str, BitMap],
        *,
        whole: AbstractSet[str],
        members_of: MembersOf,
        known: Mapping[str, BitMap],
    ) -> Iterator[tuple[ComposedAudience, Difference]]:
        """What changes in turn when lists changed by `differences` and `grown` became known, in dependency order.

        Those of `whole` are evaluated anew: redefined, or in a run. Other scheduled ones stay as they are. Empty
        differences are left out.
        """
        changed = {part: difference.touched() for part, difference in differences.items()}
        waiting = self._first(changed, whole | self._of_strangers if grown else whole)
        done = -1
        while waiting:
            place = heappop(waiting)
            if place == done:  # by way of several parts
                continue
            done, audience = place, self._audiences[self._order[place]]
            if audience.scheduled and audience.audience_id not in whole:
                continue
            touched = None if audience.audience_id in whole else self._touched(audience, changed, grown)
            if touched is not None and not touched:
                continue
            difference = _settle(audience, touched, members_of, known.get(audience.id_type, _NOBODY))
            if difference is not UNCHANGED and difference:
                changed[audience.audience_id] = difference.touched()
                for user in self._users.get(audience.audience_id, ()):
                    heappush(waiting, user)
                yield audience, difference

    def _first(self, changed: Iterable[str], others: AbstractSet[str]) -> list[int]:
        """In order, the places of what is composed of something that has changed, and of others."""
        users = {place for part in changed for place in self._users.get(part, ())}
        return sorted(users | {self._places[audience_id] for audience_id in others if audience_id in self._places})

    def _arrange(self) -> None:
        self._order = _in_dependency_order(self._parts)
        self._places = {audience_id: place for place, audience_id in enumerate(self._order)}
        users: defaultdict[str, list[int]] = defaultdict(list)
        for place, audience_id in enumerate(self._order):
            for part in self._parts[audience_id]:
                users[part].append(place)
        self._users = dict(users)

    def _touched(
        self, audience: ComposedAudience, changed: Mapping[str, BitMap], grown: Mapping[str, BitMap]
    ) -> BitMap:
        touched = [changed[part] for part in self._parts[audience.audience_id] if part in changed]
        if audience.audience_id in self._of_strangers and audience.id_type in grown:
            touched.append(grown[audience.id_type])
        return touched[0] if len(touched) == 1 else BitMap().union(*touched)


_NOBODY = BitMap()


def _settle(audience: ComposedAudience, touched: BitMap | None, members_of: MembersOf, known: BitMap) -> Difference:
    def of_audience(audience_id: str) -> BitMap:
        return members_of(audience_id, audience.id_type)

    if touched is not None and len(touched) <= _FEW:
        return _settle_few(audience, touched, of_audience, known)
    if touched is None or len(touched) * _WHOLE_SHARE > len(known):
        return audience.settle(evaluate(audience.expression, of_audience, known))
    cut = touched
    now = evaluate(audience.expression, lambda audience_id: of_audience(audience_id) & cut, known & cut)
    return audience.settle_within(cut, now)


def _settle_few(
    audience: ComposedAudience, touched: BitMap, members_of: Callable[[str], BitMap], known: BitMap
) -> Difference:
    expression, members = audience.expression, audience.members
    moved = [one for one in touched if selects(expression, one, members_of, known) != (one in members)]
    return audience.turn(BitMap(moved)) if moved else UNCHANGED


def _in_dependency_order(parts: Mapping[str, frozenset[str]]) -> tuple[str, ...]:
    """Ids so that parts come first, else by id."""
    ordered: dict[str, None] = {}
    waiting = sorted(parts)
    while waiting:
        ready = [audience_id for audience_id in waiting if parts[audience_id].isdisjoint(set(waiting))]
        if not ready:
            raise ValueError(f"these are parts of each other: {', '.join(waiting)}")
        ordered.update(dict.fromkeys(ready))
        waiting = [audience_id for audience_id in waiting if audience_id not in ordered]
    return tuple(ordered)

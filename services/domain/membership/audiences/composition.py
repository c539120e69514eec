"""The composed audiences of a space: re-evaluated after the parts that changed, in dependency order.

Small steps look at touched identities only, large ones at whole bitmaps; both give the same (a property test).
"""

from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from pyroaring import BitMap

from services.domain.membership.audiences.algebra import evaluate, has_not, parts_of
from services.domain.membership.audiences.members import ComposedAudience, Difference

MembersOf = Callable[[str, str], BitMap]
"""The present members of an audience (by id) of an id type; none where there is no such audience of that type."""

# From here on whole bitmaps are cheaper than cutting every leaf to the touched: an eighth of what they hold.
_WHOLE_SHARE: Final = 8


class Composition:
    """Composed audiences in an order in which each comes after its parts."""

    def __init__(self) -> None:
        self._audiences: dict[str, ComposedAudience] = {}
        self._parts: dict[str, frozenset[str]] = {}
        self._has_not: dict[str, bool] = {}
        self._order: tuple[str, ...] = ()

    def define(self, audience: ComposedAudience) -> None:
        """Adds or redefines one; raises ValueError where it would be part of itself."""
        self._audiences[audience.audience_id] = audience
        self._parts[audience.audience_id] = parts_of(audience.expression)
        self._has_not[audience.audience_id] = has_not(audience.expression)
        self._order = _in_dependency_order(self._parts)

    def remove(self, audience_id: str) -> None:
        """It is composed no more; what it was part of finds it empty."""
        for by_id in (self._audiences, self._parts, self._has_not):
            by_id.pop(audience_id, None)
        self._order = _in_dependency_order(self._parts)

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
        changed = dict(differences)
        for audience_id in self._order:
            audience = self._audiences[audience_id]
            if audience_id in whole:
                touched = None
            elif audience.scheduled:
                continue
            else:
                touched = self._touched(audience, changed, grown)
                if not touched:
                    continue
            difference = _settle(audience, touched, members_of, known.get(audience.id_type, _NOBODY))
            if difference:
                changed[audience_id] = difference
                yield audience, difference

    def _touched(
        self, audience: ComposedAudience, changed: Mapping[str, Difference], grown: Mapping[str, BitMap]
    ) -> BitMap:
        touched = BitMap()
        for part in sorted(self._parts[audience.audience_id] & changed.keys()):
            touched |= changed[part].touched()
        if self._has_not[audience.audience_id]:
            touched |= grown.get(audience.id_type, _NOBODY)
        return touched


_NOBODY = BitMap()


def _settle(audience: ComposedAudience, touched: BitMap | None, members_of: MembersOf, known: BitMap) -> Difference:
    def whole(audience_id: str) -> BitMap:
        return members_of(audience_id, audience.id_type)

    if touched is None or len(touched) * _WHOLE_SHARE > len(known):
        return audience.settle(evaluate(audience.expression, whole, known))
    cut = touched
    now = evaluate(audience.expression, lambda audience_id: whole(audience_id) & cut, known & cut)
    return audience.settle_within(cut, now)


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

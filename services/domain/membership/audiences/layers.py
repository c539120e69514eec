"""The layers of one list audience on one partition: what they hold, what takes from them, when they leave.

Set arithmetic only: which import or command comes when is decided by `application`, what changed by
`audiences.ListAudience`. Rules: engine.md §1.
"""

from copy import copy
from dataclasses import dataclass
from typing import Self

from pyroaring import BitMap

from contracts.instants import DAY_MS
from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import BaseSaved, DatedLayerSaved, LayersSaved
from services.domain.membership.imports.order import ImportOrder


@dataclass(slots=True)
class Base:
    """The newest full refresh, or what a replace or clear left.

    `order` is the newest import that it stands for, None where no import had been opened before the command.
    """

    order: ImportOrder | None
    day_ms: int
    members: BitMap

    def saved(self, packing: Packing) -> BaseSaved:
        return BaseSaved(self.order, self.day_ms, packing.bitmap(self.members))

    @classmethod
    def restored(cls, saved: BaseSaved, unpacking: Unpacking) -> Self:
        return cls(saved.order, saved.day_ms, unpacking.bitmap(saved.members))


@dataclass(slots=True)
class DatedLayer:
    """One append: gone at `leaves_ms`."""

    order: ImportOrder
    leaves_ms: int
    members: BitMap

    def saved(self, packing: Packing) -> DatedLayerSaved:
        return DatedLayerSaved(self.order, self.leaves_ms, packing.bitmap(self.members))

    @classmethod
    def restored(cls, saved: DatedLayerSaved, unpacking: Unpacking) -> Self:
        return cls(saved.order, saved.leaves_ms, unpacking.bitmap(saved.members))


class Layers:
    """Members are the union of base, dated layers and `added`."""

    def __init__(self) -> None:
        self.base: Base | None = None
        self.dated: list[DatedLayer] = []
        self.added = BitMap()
        self.cleared_step = 0  # of the latest replace or clear
        self.shared: BitMap | None = None  # the set of a layer that is the audience's members too: never written to
        self._newest_append: dict[int, ImportOrder] = {}  # by lookback in days, gone or not: rule 4

    def saved(self, packing: Packing) -> LayersSaved:
        return LayersSaved(
            base=None if self.base is None else self.base.saved(packing),
            dated=[layer.saved(packing) for layer in self.dated],
            added=packing.bitmap(self.added),
            cleared_step=self.cleared_step,
            newest_append=sorted(self._newest_append.items()),
        )

    @classmethod
    def restored(cls, saved: LayersSaved, unpacking: Unpacking) -> Self:
        layers = cls()
        layers.base = None if saved.base is None else Base.restored(saved.base, unpacking)
        layers.dated = [DatedLayer.restored(layer, unpacking) for layer in saved.dated]
        layers.added = unpacking.bitmap(saved.added)
        layers.cleared_step = saved.cleared_step
        layers._newest_append = dict(saved.newest_append)
        return layers

    def twin(self) -> "Layers":
        """A copy to try a full refresh on; the sets are shared, since a refresh puts others in their place."""
        return copy(self)

    def union(self) -> BitMap:
        """All members, a set of its own."""
        return BitMap.union(self.added, *self._sets())

    def share(self, members: BitMap) -> BitMap:
        """The set of the only layer where it equals `members`, which are all in the layers; else `members`."""
        sets = [one for one in self._sets() if one]
        if len(sets) == 1 and not self.added and sets[0] == members:
            members = sets[0]
        self.shared = members if any(one is members for one in sets) else None
        return members

    def within(self, touched: BitMap) -> BitMap:
        """The members among `touched`."""
        found = self.added & touched
        for layer in reversed(self.dated):  # what was just added or appended is found at once
            if len(found) == len(touched):
                return found
            found |= layer.members & touched
        return found if self.base is None else found | self.base.members & touched

    def is_newer(self, order: ImportOrder) -> bool:
        """Whether the base is newer than an import of this order: it is superseded (rules 1, 2)."""
        return self.base is not None and self.base.order is not None and order < self.base.order

    def add(self, members: BitMap) -> None:
        self.added |= members

    def remove(self, members: BitMap, *, added_since: BitMap) -> None:
        """Takes them out of every layer (rule 6), except what commands have added since."""
        for layer in self._held():
            if layer.members is not self.shared:
                layer.members -= members
            elif layer.members.intersect(members):
                layer.members, self.shared = layer.members - members, None
        self.added -= members - added_since
        self.dated = [layer for layer in self.dated if layer.members]

    def replace(self, members: BitMap, *, order: ImportOrder | None, day_ms: int, step: int) -> None:
        """A command's replace or clear: one base, nothing else. `order`: the newest import opened before it."""
        self.base = Base(order, day_ms, members)
        self.dated.clear()
        self.added = BitMap()
        self.cleared_step = step

    def refresh(self, members: BitMap, *, order: ImportOrder, day_ms: int, added: BitMap, at_ms: int) -> None:
        """A full refresh: every older layer goes. `added` is what commands added since it was opened."""
        assert not self.is_newer(order)
        self.base = Base(order, day_ms, members)
        self.dated = [layer for layer in self.dated if layer.order > order]
        self.added = added
        self._expire_base(at_ms)

    def append(self, layer: DatedLayer, *, lookback_days: int, at_ms: int) -> BitMap:
        """Adds a dated layer; returns the identities that it may have moved.

        With it on top the base leaves too, at base day + lookback: at once where that has passed.
        """
        assert not self.is_newer(layer.order)
        newest = self._newest_append.get(lookback_days)
        self._newest_append[lookback_days] = layer.order if newest is None else max(newest, layer.order)
        if layer.members:
            self.dated.append(layer)
        return layer.members | self._expire_base(at_ms)

    def expire(self, at_ms: int) -> BitMap:
        """Drops what leaves by `at_ms`; returns the identities that it held."""
        gone = self._expire_base(at_ms)
        for layer in self.dated:
            if layer.leaves_ms <= at_ms:
                gone = gone | layer.members  # not in place: the base's set may be the members' too
        self.dated = [layer for layer in self.dated if layer.leaves_ms > at_ms]
        return gone

    def base_leaves_ms(self) -> int | None:
        """When the base leaves; None while no append was applied on top of it (rule 4).

        With several lookbacks in play the shortest counts: each append on top makes the base leave at its own.
        """
        if self.base is None:
            return None
        order = self.base.order
        lookbacks = [days for days, newest in self._newest_append.items() if order is None or newest > order]
        return self.base.day_ms + min(lookbacks) * DAY_MS if lookbacks else None

    def _expire_base(self, at_ms: int) -> BitMap:
        leaves_ms = self.base_leaves_ms()
        if self.base is None or leaves_ms is None or leaves_ms > at_ms:
            return BitMap()
        # Its order stays: what is older stays superseded.
        gone, self.base.members = self.base.members, BitMap()
        return gone

    def _sets(self) -> list[BitMap]:
        """The sets of base and dated layers themselves."""
        return [layer.members for layer in self._held()]

    def _held(self) -> list[Base | DatedLayer]:
        """The base, where there is one, and the dated layers."""
        return [*([] if self.base is None else [self.base]), *self.dated]

"""Audiences of both kinds on one partition: their present members, and how these changed in a step."""

from dataclasses import dataclass, field
from typing import Final, NamedTuple, Self

from pyroaring import BitMap

from contracts.messages.entities import Expression
from services.domain.membership.audiences.layers import Layers
from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import ComposedAudienceSaved, ListAudienceSaved, MembershipSaved


class Difference(NamedTuple):
    """Who entered and who exited in one step; disjoint."""

    entered: BitMap
    exited: BitMap

    def touched(self) -> BitMap:
        """Everyone who did either."""
        return self.entered | self.exited

    def __bool__(self) -> bool:
        return bool(self.entered) or bool(self.exited)


UNCHANGED: Final = Difference(BitMap(), BitMap())


@dataclass(slots=True)
class Membership:
    """What audiences of both kinds are: `members` changes only by `settle` and `settle_within`."""

    audience_id: str
    id_type: str
    member_type: str
    members: BitMap = field(default_factory=BitMap)

    def alone(self, packing: Packing) -> MembershipSaved:
        """What is kept of an audience that is deleted, but still spoken of."""
        return MembershipSaved(self.audience_id, self.id_type, self.member_type, packing.bitmap(self.members))

    @classmethod
    def restored_alone(cls, saved: MembershipSaved, unpacking: Unpacking) -> Self:
        return cls(saved.audience_id, saved.id_type, saved.member_type, unpacking.bitmap(saved.members))

    def settle(self, now: BitMap) -> Difference:
        """Makes `now` the members."""
        difference = Difference(now - self.members, self.members - now)
        self.members = now
        return difference

    def turn(self, moved: BitMap) -> Difference:
        """Those who are members exit, and the others enter."""
        difference = Difference(moved - self.members, moved & self.members)
        self.members ^= moved
        return difference

    def settle_within(self, touched: BitMap, now: BitMap) -> Difference:
        """Makes `now` the members among `touched`; the others stay."""
        before = self.members & touched
        if now == before:
            return UNCHANGED
        difference = Difference(now - before, before - now)
        self.members |= difference.entered
        self.members -= difference.exited
        return difference


@dataclass(slots=True)
class ListAudience(Membership):
    """A supplied set: the union of its layers, as of the latest run where it is scheduled."""

    layers: Layers = field(default_factory=Layers)
    scheduled: bool = False

    def saved(self, packing: Packing) -> ListAudienceSaved:
        members, layers = packing.bitmap(self.members), self.layers.saved(packing)
        return ListAudienceSaved(self.audience_id, self.id_type, self.member_type, members, layers, self.scheduled)

    @classmethod
    def restored(cls, saved: ListAudienceSaved, unpacking: Unpacking) -> Self:
        audience = cls.restored_alone(saved, unpacking)
        audience.layers = Layers.restored(saved.layers, unpacking)
        audience.scheduled = saved.scheduled
        audience.share()
        return audience

    def settle_layers(self, touched: BitMap | None = None) -> Difference:
        """The change since the last call, where only `touched` can have moved (None: anyone); none before a run."""
        if self.scheduled:
            return UNCHANGED
        if touched is None:
            return self.run()
        now = self.layers.within(touched)
        if self.layers.shared is self.members and now != self.members & touched:
            self.members, self.layers.shared = self.members.copy(), None
        return self.settle_within(touched, now)

    def run(self) -> Difference:
        """Makes those in the layers the members."""
        difference = self.settle(self.layers.union())
        self.share()
        return difference

    def share(self) -> None:
        """Holds members and the only layer as one set where they are equal, until either is written to.

        Most lists are one import: theirs would take twice the memory. After patches it isn't worth a copy each.
        """
        self.members = self.layers.share(self.members)


@dataclass(slots=True)
class ComposedAudience(Membership):
    """Algebra over other audiences, as of the latest run where it is scheduled."""

    expression: Expression = field(default_factory=Expression)
    scheduled: bool = False

    def saved(self, packing: Packing) -> ComposedAudienceSaved:
        members = packing.bitmap(self.members)
        return ComposedAudienceSaved(
            self.audience_id, self.id_type, self.member_type, members, self.expression, self.scheduled
        )

    @classmethod
    def restored(cls, saved: ComposedAudienceSaved, unpacking: Unpacking) -> Self:
        audience = cls.restored_alone(saved, unpacking)
        audience.expression, audience.scheduled = saved.expression, saved.scheduled
        return audience


Audience = ListAudience | ComposedAudience

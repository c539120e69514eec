"""All audiences of one space on one partition, and what follows when some of them change.

Lists change by their layers; composed audiences follow, in dependency order. Keeps the known identities of each id
type: those that ever were a member of a list, the complement of `not` (engine.md §2).
"""

from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from typing import Self

from pyroaring import BitMap

from contracts.messages.entities import Expression
from contracts.messages.published import Cause
from contracts.messages.steps import DefinitionStep
from services.domain.membership.audiences.composition import Composition
from services.domain.membership.audiences.members import Audience, ComposedAudience, Difference, ListAudience
from services.domain.membership.broken_log import BrokenLog
from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import ListAudienceSaved, RegisterSaved
from services.domain.membership.effects import AudienceChange, Effects

_KINDS: Mapping[str, type[Audience]] = {"list": ListAudience, "composed": ComposedAudience}


class Register:
    """Audiences by id."""

    def __init__(self) -> None:
        self._audiences: dict[str, Audience] = {}
        self._composition = Composition()
        self._known: dict[str, BitMap] = {}

    def saved(self, packing: Packing) -> RegisterSaved:
        return RegisterSaved(
            audiences=[audience.saved(packing) for _, audience in sorted(self._audiences.items())],
            known={id_type: packing.bitmap(members) for id_type, members in sorted(self._known.items())},
        )

    @classmethod
    def restored(cls, saved: RegisterSaved, unpacking: Unpacking) -> Self:
        register = cls()
        for one in saved.audiences:
            if isinstance(one, ListAudienceSaved):
                register._audiences[one.audience_id] = ListAudience.restored(one, unpacking)
            else:
                audience = ComposedAudience.restored(one, unpacking)
                register._audiences[one.audience_id] = audience
                register._composition.define(audience)
        register._known = {id_type: unpacking.bitmap(members) for id_type, members in saved.known.items()}
        return register

    def find(self, audience_id: str) -> Audience | None:
        """The audience; None where it was never defined here or is deleted."""
        return self._audiences.get(audience_id)

    def all(self) -> list[Audience]:
        """Audiences of both kinds, by id."""
        return [audience for _, audience in sorted(self._audiences.items())]

    def lists(self) -> list[ListAudience]:
        """All list audiences, by id."""
        return [audience for _, audience in sorted(self._audiences.items()) if isinstance(audience, ListAudience)]

    def find_list(self, audience_id: str) -> ListAudience | None:
        """As `find`; None too where it is composed, since only lists take members."""
        audience = self._audiences.get(audience_id)
        return audience if isinstance(audience, ListAudience) else None

    def layers(self, audience_id: str) -> int:
        """How many dated layers a list audience has."""
        audience = self.find_list(audience_id)
        return 0 if audience is None else len(audience.layers.dated)

    def define(self, step: DefinitionStep) -> Effects:
        """An audience as it now stands, or its removal (rule 8)."""
        if step.deleted:
            return self._delete(step.audience_id)
        audience = self._audiences.get(step.audience_id)
        is_new = audience is None
        if audience is None:
            kind = _KINDS.get(step.kind)
            if kind is None:
                raise BrokenLog(f"audience {step.audience_id} is of the unknown kind {step.kind!r}")
            audience = kind(step.audience_id, step.id_type, step.member_type)
            self._audiences[step.audience_id] = audience
        if (type(audience), audience.id_type) != (_KINDS.get(step.kind), step.id_type):
            raise BrokenLog(f"audience {step.audience_id} changed its kind or id type")
        was_scheduled, audience.scheduled = audience.scheduled, step.scheduled
        cause = Cause("definition", step.audience_id)
        if isinstance(audience, ComposedAudience):
            effects = self._compose(audience, step, cause)
        elif was_scheduled and not step.scheduled:
            effects = self.follow({step.audience_id: audience.run()}, cause)
        else:
            effects = Effects()
        if is_new:
            effects.sizes[step.audience_id] = len(audience.members)
        return effects

    def run(self, audience_ids: Iterable[str], cause: Cause) -> Effects:
        """What has been collected for these takes effect; those that are no more are passed over."""
        found = [audience for audience in map(self._audiences.get, audience_ids) if audience is not None]
        differences = {one.audience_id: one.run() for one in found if isinstance(one, ListAudience)}
        return self.follow(differences, cause, whole={one.audience_id for one in found})

    def follow(
        self, differences: Mapping[str, Difference], cause: Cause, *, whole: AbstractSet[str] = frozenset()
    ) -> Effects:
        """What the step did in all: lists changed by `differences`, and composed audiences after them.

        The composed ones of `whole` change because of `cause` itself, every other one because of what that did.
        """
        effects = Effects()
        for audience_id, difference in sorted(differences.items()):
            if difference:
                self._say(effects, self._audiences[audience_id], difference, cause)
        composed = self._composition.settle(
            differences, self._learn(differences), whole=whole, members_of=self._members_of, known=self._known
        )
        for audience, difference in composed:
            kind = cause.kind if audience.audience_id in whole else "composition"
            self._say(effects, audience, difference, Cause(kind, cause.id))
        return effects

    def _compose(self, audience: ComposedAudience, step: DefinitionStep, cause: Cause) -> Effects:
        audience.expression = step.expression or Expression()
        try:
            self._composition.define(audience)
            return Effects() if step.scheduled else self.follow({}, cause, whole={step.audience_id})
        except ValueError as error:
            raise BrokenLog(f"audience {step.audience_id} can't be composed: {error}") from None

    def _delete(self, audience_id: str) -> Effects:
        audience = self._audiences.get(audience_id)
        if audience is None:
            return Effects()
        self._composition.remove(audience_id)
        difference = audience.settle(BitMap())
        effects = self.follow({audience_id: difference}, Cause("deletion", audience_id))
        del self._audiences[audience_id]
        effects.sizes[audience_id] = None
        return effects

    def _learn(self, differences: Mapping[str, Difference]) -> dict[str, BitMap]:
        """Makes those who entered lists known; returns the growth by id type."""
        grown: dict[str, BitMap] = {}
        for audience_id, difference in differences.items():
            id_type = self._audiences[audience_id].id_type
            known = self._known.setdefault(id_type, BitMap())
            new = difference.entered - known
            if new:
                known |= new
                grown[id_type] = grown.get(id_type, BitMap()) | new
        return grown

    def _members_of(self, audience_id: str, id_type: str) -> BitMap:
        audience = self._audiences.get(audience_id)
        return audience.members if audience is not None and audience.id_type == id_type else BitMap()

    def _say(self, effects: Effects, audience: Audience, difference: Difference, cause: Cause) -> None:
        effects.changes.append(AudienceChange(audience, difference, cause))
        effects.sizes[audience.audience_id] = len(audience.members)

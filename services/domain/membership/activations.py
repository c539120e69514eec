"""Activations as membership sees them: what the destination of a paused or ended one has (architecture.md §7).

Everything else about an activation passes through as a marker at its place among the changes.
"""

from collections.abc import Callable
from typing import NamedTuple, Self

from pyroaring import BitMap

from contracts.messages.steps import ActivationStep
from services.domain.membership.audiences.members import Membership
from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import ActivationsSaved, PausedSaved
from services.domain.membership.effects import Addressed, Effects, Snapshot

Find = Callable[[str], Membership | None]
"""The audience of an id, None where it is deleted."""


class _Paused(NamedTuple):
    """The audience is kept with the set: it may be deleted before the activation goes on."""

    audience: Membership
    had: BitMap

    def saved(self, packing: Packing, find: Find) -> PausedSaved:
        """`find` tells whether the audience is still defined: then it is kept there."""
        audience = self.audience
        is_defined = find(audience.audience_id) is audience
        alone = None if is_defined else audience.alone(packing)
        return PausedSaved(audience.audience_id, alone, packing.bitmap(self.had))

    @classmethod
    def restored(cls, saved: PausedSaved, unpacking: Unpacking, find: Find) -> Self:
        alone = saved.audience
        audience = find(saved.audience_id) if alone is None else Membership.restored_alone(alone, unpacking)
        assert audience is not None
        return cls(audience, unpacking.bitmap(saved.had))


class Activations:
    """What the destinations of paused activations have, and of ended ones that may go on, by activation id."""

    def __init__(self) -> None:
        self._paused: dict[str, _Paused] = {}

    def saved(self, packing: Packing, find: Find) -> ActivationsSaved:
        return ActivationsSaved({name: paused.saved(packing, find) for name, paused in sorted(self._paused.items())})

    @classmethod
    def restored(cls, saved: ActivationsSaved, unpacking: Unpacking, find: Find) -> Self:
        activations = cls()
        for name, paused in saved.paused.items():
            activations._paused[name] = _Paused.restored(paused, unpacking, find)
        return activations

    def relay(self, step: ActivationStep, audience: Membership | None) -> Effects:
        """The marker and what it brings. `audience` None: it was never known here or is deleted."""
        effects = Effects(marker=step)
        activation_id = step.activation.activation_id
        paused = self._paused.get(activation_id)
        about = paused.audience if paused is not None else audience
        if about is None:
            return effects
        takes_back = step.marker == "ended" and step.activation.on_end == "remove"
        if takes_back:
            had = about.members if paused is None else paused.had
            effects.before_marker = [Addressed(activation_id, about, "exited", had)]
        if step.marker in ("paused", "ended") and not takes_back:
            self._paused.setdefault(activation_id, _Paused(about, about.members.copy()))
        elif step.marker != "updated":
            self._paused.pop(activation_id, None)
        if step.marker in ("started", "resumed") and paused is not None:
            effects.after_marker = [Addressed(activation_id, about, "exited", paused.had - about.members)]
            if not step.resync:  # else they are among all members
                effects.after_marker.append(Addressed(activation_id, about, "entered", about.members - paused.had))
        if step.resync:
            effects.snapshots = [Snapshot(f"{activation_id}.{step.step}", activation_id, about, about.members)]
        return effects

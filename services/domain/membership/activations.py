"""Activations as membership sees them: what the destination of one that does not go on has (architecture.md §7).

Of those that wait for their audience to grow it says what they would send. Everything else about an activation passes
through as a marker at its place among the changes.
"""

from collections.abc import Callable, Iterator
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
    """The audience is kept with the set: it may be deleted before the activation goes on.

    `waits`: until its audience is large enough; with `resync` all members will follow then.
    """

    audience: Membership
    had: BitMap
    waits: bool = False
    resync: bool = False

    def saved(self, packing: Packing, find: Find) -> PausedSaved:
        """`find` tells whether the audience is still defined: then it is kept there."""
        audience = self.audience
        is_defined = find(audience.audience_id) is audience
        alone = None if is_defined else audience.alone(packing)
        return PausedSaved(audience.audience_id, alone, packing.bitmap(self.had), self.waits, self.resync)

    @classmethod
    def restored(cls, saved: PausedSaved, unpacking: Unpacking, find: Find) -> Self:
        alone = saved.audience
        audience = find(saved.audience_id) if alone is None else Membership.restored_alone(alone, unpacking)
        assert audience is not None
        return cls(audience, unpacking.bitmap(saved.had), saved.waits, saved.resync)


class Waiting(NamedTuple):
    """An activation, the size of its audience here, and how many it would add and remove if it went on now."""

    activation_id: str
    size: int
    entered: int
    exited: int


class Activations:
    """What the destinations of paused activations have, and of ended ones that may go on, by activation id."""

    def __init__(self) -> None:
        self._paused: dict[str, _Paused] = {}
        self._waiting: set[str] = set()  # those of them that wait for their audience to grow

    def saved(self, packing: Packing, find: Find) -> ActivationsSaved:
        return ActivationsSaved({name: paused.saved(packing, find) for name, paused in sorted(self._paused.items())})

    @classmethod
    def restored(cls, saved: ActivationsSaved, unpacking: Unpacking, find: Find) -> Self:
        activations = cls()
        for name, paused in saved.paused.items():
            activations._keep(name, _Paused.restored(paused, unpacking, find))
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
        if step.marker == "waiting":  # a new one has nothing there yet, or is not to send who was in before it
            had = paused.had if paused is not None else BitMap() if step.resync else about.members.copy()
            self._keep(activation_id, _Paused(about, had, waits=True, resync=step.resync))
            return effects
        if step.marker in ("paused", "ended") and not takes_back:
            self._keep(activation_id, _Paused(about, about.members.copy() if paused is None else paused.had))
        elif step.marker != "updated":
            self._drop(activation_id)
        if step.marker in ("started", "resumed") and paused is not None:
            effects.after_marker = [Addressed(activation_id, about, "exited", paused.had - about.members)]
            if not step.resync:  # else they are among all members
                effects.after_marker.append(Addressed(activation_id, about, "entered", about.members - paused.had))
        if step.resync:
            effects.snapshots = [Snapshot(f"{activation_id}.{step.step}", activation_id, about, about.members)]
        return effects

    def held(self, effects: Effects) -> Iterator[Waiting]:
        """What those would send that wait for their audience to grow, where the step changed it or began the wait."""
        changed = {change.audience.audience_id for change in effects.changes}
        begun = effects.marker.activation.activation_id if effects.marker is not None else None
        for name in sorted(self._waiting) if changed or begun else ():
            audience, had, _, resync = self._paused[name]
            if name == begun or audience.audience_id in changed:
                size = len(audience.members)
                entered = size if resync else audience.members.difference_cardinality(had)
                yield Waiting(name, size, entered, had.difference_cardinality(audience.members))

    def _keep(self, activation_id: str, paused: _Paused) -> None:
        self._paused[activation_id] = paused
        (self._waiting.add if paused.waits else self._waiting.discard)(activation_id)

    def _drop(self, activation_id: str) -> None:
        self._paused.pop(activation_id, None)
        self._waiting.discard(activation_id)

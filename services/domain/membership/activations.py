"""Activations as membership sees them: what the destination of a paused one still has (architecture.md §7).

Everything else about an activation passes through as a marker at its place among the changes.
"""

from pyroaring import BitMap

from contracts.messages.steps import ActivationStep
from services.domain.membership.audiences.members import Membership
from services.domain.membership.effects import Addressed, Effects, Snapshot


class Activations:
    """The frozen sets of paused activations by activation id."""

    def __init__(self) -> None:
        self._frozen: dict[str, BitMap] = {}

    def relay(self, step: ActivationStep, audience: Membership | None) -> Effects:
        """The marker and what it brings. `audience` None: it was never known here or is gone; then nothing but that."""
        effects = Effects(marker=step)
        activation_id = step.activation.activation_id
        frozen = self._frozen.pop(activation_id, None)
        if audience is None:
            return effects
        present = audience.members
        match step.marker:
            case "paused":
                self._frozen[activation_id] = present.copy() if frozen is None else frozen
            case "updated":
                if frozen is not None:
                    self._frozen[activation_id] = frozen
            case "resumed" if frozen is not None:
                effects.after_marker = [
                    Addressed(activation_id, audience, "exited", frozen - present),
                    Addressed(activation_id, audience, "entered", present - frozen),
                ]
            case "ended" if step.activation.on_end == "remove":
                has = present if frozen is None else frozen
                effects.before_marker = [Addressed(activation_id, audience, "exited", has)]
        if step.resync and step.marker in ("started", "resumed"):
            effects.snapshots = [Snapshot(f"{activation_id}.{step.step}", activation_id, audience, present)]
        return effects

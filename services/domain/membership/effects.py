"""What one step does, before it is written: sets, not records. Made by `space`, written by `records`."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from pyroaring import BitMap

from contracts.messages.published import Cause
from contracts.messages.results import Result
from contracts.messages.steps import ActivationStep
from services.domain.membership.audiences.members import Difference, Membership

Direction = Literal["entered", "exited"]


class AudienceChange(NamedTuple):
    """One audience's difference in this step and what made it."""

    audience: Membership
    difference: Difference
    cause: Cause


class Snapshot(NamedTuple):
    """Present members to be listed, for a command or an activation. `members` is read at once, not kept."""

    snapshot_id: str
    activation_id: str | None
    audience: Membership
    members: BitMap


class Addressed(NamedTuple):
    """Members that one activation's destination must add or remove."""

    activation_id: str
    audience: Membership
    change: Direction
    members: BitMap


@dataclass(slots=True)
class Effects:
    """In the order of writing: changes, then what a marker says and brings, then snapshots; sizes and results last.

    `sizes` holds the audiences whose size is to be published; None: the audience is gone. `refused` events of a topic
    feed were not taken: their identities are new, and no more may be known.
    """

    changes: list[AudienceChange] = field(default_factory=list)
    before_marker: list[Addressed] = field(default_factory=list)
    marker: ActivationStep | None = None
    after_marker: list[Addressed] = field(default_factory=list)
    snapshots: list[Snapshot] = field(default_factory=list)
    sizes: dict[str, int | None] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    refused: int = 0

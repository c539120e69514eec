"""What can be asked of membership's state and what is answered: an identity, an audience, a partition. Changes nothing.

`usher inspect` asks, `services.membership.inspection` answers from a state of its own, never from one that is folded
on. Instants are milliseconds since 1970.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import msgspec
from pyroaring import BitMap

from contracts.instants import day_of
from services.domain.membership.audiences.layers import Layers
from services.domain.membership.audiences.members import Audience, ListAudience
from services.domain.membership.partition import MembershipPartition


class IdentityAsked(msgspec.Struct, frozen=True, kw_only=True, tag="identity"):
    """Where a canonical identifier stands."""

    space_id: str
    id_type: str
    identifier: str


class AudienceAsked(msgspec.Struct, frozen=True, kw_only=True, tag="audience"):
    """What an audience is made of, on every partition."""

    space_id: str
    audience_id: str


class PartitionAsked(msgspec.Struct, frozen=True, kw_only=True, tag="partition"):
    """How far a partition is folded and kept."""

    partition: int


Question = IdentityAsked | AudienceAsked | PartitionAsked


class CheckpointSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One that is complete; `problem` says why its manifest can't be read, and then the rest is unknown."""

    offset: int
    taken_at_ms: int | None = None
    size_bytes: int | None = None
    problem: str | None = None


class StandSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The input of a partition: kept from `begin_offset`, folded up to `committed_offset`, written up to `end_offset`.

    `checkpoints` newest first; None where there is no place for them. `checkpoints_url` is where they lie.
    """

    partition: int
    partitions: int
    begin_offset: int
    committed_offset: int
    end_offset: int
    checkpoints_url: str | None = None
    checkpoints: list[CheckpointSeen] | None = None


class LayerSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A layer with its `members` on this partition: all of them, or 1 where the question is about one identity.

    `kind`: `base` (a full refresh, or what a replace or clear left), `dated` (an append), `added` (by commands; no day,
    no import, for ever). Of a base that a command left, `import_id` is the newest import that it stands above, None
    where there was none, and `replaced_step` the command's step; None where nothing was ever replaced or cleared.
    `leaves_ms` None: it stays until something takes its place.
    """

    kind: str
    members: int
    import_id: str | None = None
    day: str | None = None
    leaves_ms: int | None = None
    replaced_step: int | None = None


class AudienceSeen(msgspec.Struct, frozen=True, kw_only=True):
    """An audience on this partition; `members` as of its latest run where it is `scheduled`. Composed: no layers."""

    audience_id: str
    kind: str
    id_type: str
    members: int
    scheduled: bool
    layers: list[LayerSeen] = []


class PartitionSeen(msgspec.Struct, frozen=True, kw_only=True):
    """The state of one partition before `offset`: the part of it that was asked for.

    `step` and `at_ms` are those of the space there; 0 where nothing of it has come. `known`: whether the identity ever
    was named here, None where none was asked for. `identities` are counted by id type.
    """

    partition: int
    partitions: int
    offset: int
    step: int = 0
    at_ms: int = 0
    known: bool | None = None
    identities: dict[str, int] = {}
    audiences: list[AudienceSeen] = []


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`failed`: why there is no answer, and what to do. `seen`: of each partition asked; `stand`: of the one asked."""

    failed: str | None = None
    seen: list[PartitionSeen] = []
    stand: StandSeen | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Of which partition the state is, and where it stands in the log."""

    partition: int
    partitions: int
    offset: int


def identity_seen(state: MembershipPartition, place: Place, asked: IdentityAsked) -> PartitionSeen:
    """The audiences that an identity is in, or is in a layer of."""
    space = state.space(asked.space_id)
    ordinal = None if space is None else space.directory.find(asked.id_type, asked.identifier)
    seen = _seen(state, place, asked.space_id)
    if space is None or ordinal is None:
        return msgspec.structs.replace(seen, known=False)
    found = (_audience(audience, ordinal) for audience in space.audiences() if audience.id_type == asked.id_type)
    return msgspec.structs.replace(seen, known=True, audiences=[one for one in found if one.members or one.layers])


def audience_seen(state: MembershipPartition, place: Place, asked: AudienceAsked) -> PartitionSeen:
    """One audience with all its layers; none where it is not defined here (yet)."""
    space = state.space(asked.space_id)
    found = [] if space is None else [one for one in space.audiences() if one.audience_id == asked.audience_id]
    seen = _seen(state, place, asked.space_id)
    return msgspec.structs.replace(seen, audiences=[_audience(audience, None) for audience in found])


def _seen(state: MembershipPartition, place: Place, space_id: str) -> PartitionSeen:
    seen = PartitionSeen(partition=place.partition, partitions=place.partitions, offset=place.offset)
    space = state.space(space_id)
    if space is None:
        return seen
    return msgspec.structs.replace(seen, step=space.step, at_ms=space.at_ms, identities=space.directory.counts())


def _audience(audience: Audience, ordinal: int | None) -> AudienceSeen:
    layers = list(_layers(audience.layers, ordinal)) if isinstance(audience, ListAudience) else []
    return AudienceSeen(
        audience_id=audience.audience_id,
        kind="list" if isinstance(audience, ListAudience) else "composed",
        id_type=audience.id_type,
        members=len(audience.members) if ordinal is None else int(ordinal in audience.members),
        scheduled=audience.scheduled,
        layers=[layer for layer in layers if layer.members],
    )


def _layers(layers: Layers, ordinal: int | None) -> Iterator[LayerSeen]:
    """From the oldest kind on; with an ordinal, those without it have no members."""

    def count(members: BitMap) -> int:
        return len(members) if ordinal is None else int(ordinal in members)

    if layers.base is not None:
        order = layers.base.order
        yield LayerSeen(
            kind="base",
            members=count(layers.base.members),
            import_id=None if order is None else order.import_id,
            day=day_of(layers.base.day_ms),
            leaves_ms=layers.base_leaves_ms(),
            replaced_step=layers.cleared_step or None,
        )
    for layer in sorted(layers.dated, key=lambda layer: layer.order):
        yield LayerSeen(
            kind="dated",
            members=count(layer.members),
            import_id=layer.order.import_id,
            day=layer.order.day,
            leaves_ms=layer.leaves_ms,
        )
    yield LayerSeen(kind="added", members=count(layers.added))

"""What `usher inspect --json` prints: state, catalogue, changes and imports put together. Instants are RFC 3339."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from contracts.instants import instant_text
from contracts.messages.published import Cause, Import
from services.domain.membership.inspection import AudienceSeen, LayerSeen, PartitionSeen, StandSeen


class Layer(msgspec.Struct, frozen=True, kw_only=True):
    """As `LayerSeen`, over the partitions asked."""

    kind: str
    members: int
    day: str | None
    import_id: str | None
    leaves_at: str | None
    replaced_step: int | None


class AudienceOfIdentity(msgspec.Struct, frozen=True, kw_only=True):
    """An audience that the identity is in, or in a layer of (what a scheduled one shows at its next run).

    `leaves_at`: when it exits if nothing else comes; null: never, or that follows from others (a composed audience).
    """

    audience_id: str
    name: str
    kind: str
    member: bool
    scheduled: bool
    leaves_at: str | None
    layers: list[Layer]


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """The identity entered or exited an audience."""

    at: str
    step: int
    audience_id: str
    change: str
    cause: Cause


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What the changes still say, oldest first. Retention took what came before `kept_from`; null: nothing is gone."""

    events: list[Event]
    kept_from: str | None


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """Of one identity, before `offset` of the input of its `partition`. `known`: whether it was ever named."""

    space_id: str
    id_type: str
    identifier: str
    partition: int
    offset: int
    step: int
    at: str
    known: bool
    audiences: list[AudienceOfIdentity]
    history: History
    imports: dict[str, Import]


class AudienceOnPartition(msgspec.Struct, frozen=True, kw_only=True):
    """`size` null: the partition has not folded its definition yet. `identities`: the space's, of this id type."""

    partition: int
    offset: int
    step: int
    size: int | None
    identities: int


class WholeAudience(msgspec.Struct, frozen=True, kw_only=True):
    """Of one audience. Each partition is seen at its own offset: they need not be of one step."""

    space_id: str
    audience_id: str
    name: str
    kind: str
    id_type: str
    scheduled: bool
    size: int
    partitions: list[AudienceOnPartition]
    layers: list[Layer]
    imports: dict[str, Import]


class Stand(StandSeen, frozen=True, kw_only=True):
    """Of one partition. Of the newest checkpoint that can be read: its age, and how much of what is folded it lacks."""

    lag_records: int
    checkpoint_age_seconds: float | None
    checkpoint_behind_records: int | None


def audience_of_identity(seen: AudienceSeen, name: str) -> AudienceOfIdentity:
    """For one identity: its layers have it or are left out."""
    leaving = [layer.leaves_ms for layer in seen.layers]
    leaves_ms = max((at for at in leaving if at is not None), default=None)
    return AudienceOfIdentity(
        audience_id=seen.audience_id,
        name=name,
        kind=seen.kind,
        member=bool(seen.members),
        scheduled=seen.scheduled,
        leaves_at=None if None in leaving else _instant(leaves_ms),
        layers=layers_of([seen]),
    )


def layers_of(parts: Iterable[AudienceSeen]) -> list[Layer]:
    """The layers of an audience summed over its parts: base, then by day, then what commands added."""
    members: Counter[LayerSeen] = Counter()
    for part in parts:
        for layer in part.layers:
            members[msgspec.structs.replace(layer, members=0)] += layer.members
    ordered = sorted(members, key=lambda layer: (_KINDS.index(layer.kind), layer.day or "", layer.import_id or ""))
    return [
        Layer(
            kind=layer.kind,
            members=members[layer],
            day=layer.day,
            import_id=layer.import_id,
            leaves_at=_instant(layer.leaves_ms),
            replaced_step=layer.replaced_step,
        )
        for layer in ordered
    ]


def on_partition(seen: PartitionSeen, id_type: str) -> AudienceOnPartition:
    """The part of an audience."""
    return AudienceOnPartition(
        partition=seen.partition,
        offset=seen.offset,
        step=seen.step,
        size=seen.audiences[0].members if seen.audiences else None,
        identities=seen.identities.get(id_type, 0),
    )


def stand_of(seen: StandSeen, now_ms: int) -> Stand:
    """With what follows from the time."""
    newest = next((one for one in seen.checkpoints or () if one.taken_at_ms is not None), None)
    taken_at_ms = None if newest is None else newest.taken_at_ms
    return Stand(
        **msgspec.structs.asdict(seen),
        lag_records=seen.end_offset - seen.committed_offset,
        checkpoint_age_seconds=None if taken_at_ms is None else (now_ms - taken_at_ms) / 1000,
        checkpoint_behind_records=None if newest is None else seen.committed_offset - newest.offset,
    )


_KINDS = ("base", "dated", "added")


def _instant(at_ms: int | None) -> str | None:
    return None if at_ms is None else instant_text(at_ms)

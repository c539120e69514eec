"""The words of format 1: what is kept of each class of state, as plain values. A class `X` is kept as an `XSaved`.

A field has the name of the attribute that it keeps. Format 1 may gain a field whose default means what its absence
meant; any other change is format 2, beside which these words stay readable. `Packed` numbers a section of `packing`.
"""

import msgspec

from contracts.messages.entities import Expression
from contracts.messages.steps import ImportOpenStep
from services.domain.membership.imports.order import ImportOrder

Packed = int


class Saved(msgspec.Struct, frozen=True):
    """Base of all."""


class BaseSaved(Saved, frozen=True):
    order: ImportOrder | None
    day_ms: int
    members: Packed


class DatedLayerSaved(Saved, frozen=True):
    order: ImportOrder
    leaves_ms: int
    members: Packed


class LayersSaved(Saved, frozen=True):
    base: BaseSaved | None
    dated: list[DatedLayerSaved]
    added: Packed
    cleared_step: int
    newest_append: list[tuple[int, ImportOrder]]


class MembershipSaved(Saved, frozen=True):
    """What audiences of both kinds are; alone only where a deleted one is still spoken of."""

    audience_id: str
    id_type: str
    member_type: str
    members: Packed


class ListAudienceSaved(MembershipSaved, frozen=True, tag="list"):
    layers: LayersSaved
    scheduled: bool = False


class ComposedAudienceSaved(MembershipSaved, frozen=True, tag="composed"):
    expression: Expression
    scheduled: bool = False


class RegisterSaved(Saved, frozen=True):
    audiences: list[ListAudienceSaved | ComposedAudienceSaved]
    known: dict[str, Packed]


class PatchSaved(Saved, frozen=True):
    step: int
    adds: bool
    members: Packed


class OverlaySaved(Saved, frozen=True):
    patches: dict[str, list[PatchSaved]]


class ReadingSaved(Saved, frozen=True):
    next_sequence: int
    rows: int
    sets: list[tuple[str, str, Packed]]
    ended: bool
    whole: bool


class OpenImportSaved(Saved, frozen=True):
    step: ImportOpenStep
    order: ImportOrder
    readings: dict[str, ReadingSaved]


class DeskSaved(Saved, frozen=True):
    open: list[OpenImportSaved]
    overlay: OverlaySaved
    newest_opened: ImportOrder | None


class PausedSaved(Saved, frozen=True):
    """`audience` None: the one of the register that has `audience_id`."""

    audience_id: str
    audience: MembershipSaved | None
    had: Packed
    waits: bool = False
    resync: bool = False


class ActivationsSaved(Saved, frozen=True):
    paused: dict[str, PausedSaved]


class FixedArenaSaved(Saved, frozen=True, tag="fixed"):
    values: Packed


class TextArenaSaved(Saved, frozen=True, tag="text"):
    data: Packed
    ends: Packed


class FormTableSaved(Saved, frozen=True):
    """`slots` are kept because making them anew takes longer than reading them; they are checked when taken again."""

    arena: FixedArenaSaved | TextArenaSaved
    slots: Packed


class IdentityTableSaved(Saved, frozen=True):
    tables: dict[str, FormTableSaved]


class DirectorySaved(Saved, frozen=True):
    tables: dict[str, IdentityTableSaved]


class StreamsSaved(Saved, frozen=True):
    """`next`: the next offset to take, by feed, topic, source partition and form."""

    next: list[tuple[str, str, int, str, int]]


class SpaceSaved(Saved, frozen=True):
    space_id: str
    step: int
    at_ms: int
    directory: DirectorySaved
    register: RegisterSaved
    desk: DeskSaved
    activations: ActivationsSaved
    streams: StreamsSaved = StreamsSaved([])


class MembershipPartitionSaved(Saved, frozen=True):
    spaces: dict[str, SpaceSaved]

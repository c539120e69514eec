"""What control and intake write to `usher.membership.input.v1` (engine.md §3).

A step is a record of `ce_type` `step`, JSON, tagged by `type`, the same number on every partition it concerns. Row
batches and seals are data: they do nothing until their import is applied. Stream rows belong to no import: they are
applied where they stand. Times are milliseconds since 1970.
"""

from typing import Literal

import msgspec

from contracts.messages.entities import Activation, Expression


class StepBase(msgspec.Struct, frozen=True, kw_only=True):
    """`step` is the number of the step in its space; `at_ms` the space's time when control decided it."""

    space_id: str
    step: int
    at_ms: int


class DefinitionStep(StepBase, frozen=True, kw_only=True, tag="definition", tag_field="type"):
    """An audience as it now stands, or its removal; `scheduled`: by runs. References in `expression` are ids."""

    audience_id: str
    kind: str
    id_type: str
    member_type: str = "identity"
    expression: Expression | None = None
    scheduled: bool = False
    deleted: bool = False


class PatchStep(StepBase, frozen=True, kw_only=True, tag="patch", tag_field="type"):
    """One members item: the canonical identifiers of it that live on this partition.

    Where `identities_max` identities of the audience's id type are known here, those that it would make known are left
    out and counted as refused; null: no limit. A removal is never refused.
    """

    import_id: str
    audience_id: str
    operation: Literal["add", "remove", "replace", "clear"]
    identifiers: list[str] = []
    identities_max: int | None = None


class ImportOpenStep(StepBase, frozen=True, kw_only=True, tag="import-open", tag_field="type"):
    """An object is about to be read: its place in the order of imports, and from here on patches are kept on top.

    What the space allows as it is opened; null: no limit. `layers_max` dated layers in an audience, `identities_max`
    known identities of `id_type` on this partition.
    """

    import_id: str
    feed_id: str
    mode: Literal["append", "replace", "remove"]
    day: str
    event_time_ms: int
    object_key: str
    sequencer: str | None = None
    lookback_days: int | None = None
    id_type: str
    layers_max: int | None = None
    identities_max: int | None = None


class ImportWeighStep(StepBase, frozen=True, kw_only=True, tag="import-weigh", tag_field="type"):
    """What would applying this reading of a full refresh remove? Other readings of it are forgotten."""

    import_id: str
    reading_id: str
    audiences: list[str]


class ImportApplyStep(StepBase, frozen=True, kw_only=True, tag="import-apply", tag_field="type"):
    """All partitions hold `reading_id` whole: it takes effect. `audiences` are all that the object names."""

    import_id: str
    reading_id: str
    audiences: list[str]


class ImportAbortStep(StepBase, frozen=True, kw_only=True, tag="import-abort", tag_field="type"):
    """The import will never be applied: forget what is staged for it."""

    import_id: str


class TickStep(StepBase, frozen=True, kw_only=True, tag="tick", tag_field="type"):
    """The space's time reaches `at_ms`: everything due by then happens, in the order of its instants."""


class RunStep(StepBase, frozen=True, kw_only=True, tag="run", tag_field="type"):
    """What has happened to these scheduled audiences since their last run takes effect, in this one step."""

    audiences: list[str]


class ActivationStep(StepBase, frozen=True, kw_only=True, tag="activation", tag_field="type"):
    """A marker relayed into the changes; with resync it is followed by all members.

    `waiting`: it does not go on before its audience has its destination's least size; `resync` says here that all
    members are to follow then. `forgotten`: one that has ended is deleted, and nobody will ask again what its
    destination still has. `replaces`: all members take the place of whatever the list over there holds. `makes`: that
    list is made over there.
    """

    marker: Literal["started", "updated", "waiting", "paused", "resumed", "ended", "forgotten"]
    activation: Activation
    queue: str
    resync: bool = False
    replaces: bool = False
    makes: bool = False


class RedriveStep(StepBase, frozen=True, kw_only=True, tag="redrive", tag_field="type"):
    """Tell one activation how these identifiers, canonical and of this partition, stand in its audience now."""

    activation_id: str
    audience_id: str
    identifiers: list[str]


class CountStep(StepBase, frozen=True, kw_only=True, tag="count", tag_field="type"):
    """How many members does this audience have here and now?"""

    audience_id: str


class SnapshotStep(StepBase, frozen=True, kw_only=True, tag="snapshot", tag_field="type"):
    """Publish the present members of an audience."""

    snapshot_id: str
    audience_id: str


Step = (
    DefinitionStep
    | PatchStep
    | ImportOpenStep
    | ImportWeighStep
    | ImportApplyStep
    | ImportAbortStep
    | TickStep
    | RunStep
    | ActivationStep
    | RedriveStep
    | CountStep
    | SnapshotStep
)


class Seal(msgspec.Struct, frozen=True, kw_only=True):
    """`ce_type` `seal`: how much of a reading was sent to this partition. Rows count duplicates too."""

    space_id: str
    import_id: str
    reading_id: str
    batches: int
    rows: int


class StreamRowsHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What the headers of a `ce_type` `stream-rows` record say: events of one partition of the topic that a feed reads.

    The value is an Arrow IPC stream (services.domain.rows.stream). `topic` is the broker's name of it; the offsets are
    those of the first and last event in the value. `at_ms` is when they were taken, null where a space has a clock of
    its own. `identities_max` as of a `PatchStep`.
    """

    space_id: str
    feed_id: str
    topic: str
    partition: int
    first_offset: int
    last_offset: int
    id_type: str
    at_ms: int | None = None
    identities_max: int | None = None


class RowsHeader(msgspec.Struct, frozen=True, kw_only=True):
    """What the headers of a `ce_type` `rows` record say; its value is an Arrow IPC stream (services.domain.rows)."""

    space_id: str
    import_id: str
    reading_id: str
    sequence: int
    id_type: str

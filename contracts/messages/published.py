"""What users read: replies, imports, changes, sizes, activations. Instants are RFC 3339 text."""

from typing import Final, Literal

import msgspec

from contracts.messages.entities import Activation
from contracts.messages.intake import ObjectVersion


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One failed item (in `errors`) or a remark on one that took effect (in `warnings`).

    Where an item failed for its identifiers, it counts the `valid` and the `invalid` ones and shows ten of these.
    """

    item: int | None
    code: str
    type: str
    instance: str
    title: str
    detail: str
    trace_id: str = ""
    valid: int | None = None
    invalid: int | None = None
    sample_invalid: list[str] = []


class ReplyCounts(msgspec.Struct, frozen=True, kw_only=True):
    """`items = applied + failed`."""

    items: int = 0
    applied: int = 0
    failed: int = 0


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to one command, `ce_type` = the command's with `.reply`, `ce_correlationid` = its id."""

    status: Literal["accepted", "rejected"]
    counts: ReplyCounts
    data: list[dict[str, object]] = []
    errors: list[Problem] = []
    warnings: list[Problem] = []
    effective_at: str
    expected_live_at: str
    trace_id: str


class AuditRecord(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One thing that one item of an accepted command changed, and by whom. It holds no identifiers of people.

    `principal` is the sender's id (`operator`: who may everything). `kind` and `id` are an entity's, `before` and
    `after` its forms (null: it was not there). Of what is no entity (`members`, `imports`, `clock`) `after` says what
    was done.
    """

    space_id: str
    principal: str
    command_type: str
    command_source: str
    command_id: str
    item: int
    kind: str
    id: str | None
    before: dict[str, object] | None = None
    after: dict[str, object] | None = None
    trace_id: str
    at: str


class ImportCounts(msgspec.Struct, frozen=True, kw_only=True):
    """`rows = valid + rejected`; `duplicate` is part of `valid`."""

    rows: int = 0
    valid: int = 0
    rejected: int = 0
    duplicate: int = 0
    entered: int = 0
    exited: int = 0


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why an import did not apply, or a remark on one that did."""

    code: str
    detail: str


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """How many of an audience's `size` present members a full refresh removes."""

    removes: int
    size: int


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a reading is: bytes of the objects as they are stored, rows valid or not."""

    read_bytes: int
    total_bytes: int | None = None
    rows: int = 0


class Import(msgspec.Struct, frozen=True, kw_only=True):
    """The life of one import (contracts.md §5), key `space/import`.

    `removals`: the audiences for which it is held, since more of them would go than `remove_share_max` of its feed.
    `waits_for`: the import that must be decided before this one, which is staged. `waits_until`: the hour of its feed,
    or when its folder will have waited long enough for the marker. Of so many `objects` that a marker makes one,
    `object` is the marker. `progress`: how far the present attempt is, told at times; null once it has read everything.
    `warnings` are remarks on what was read all the same.
    """

    space_id: str
    import_id: str
    feed_id: str | None = None
    command_id: str | None = None
    audience_id: str | None = None
    object: ObjectVersion | None = None
    objects: int | None = None
    day: str | None = None
    mode: str
    state: str
    attempt: int = 0
    counts: ImportCounts = ImportCounts()
    rejected_by_code: dict[str, int] = {}
    rejects: str | None = None
    error: Reason | None = None
    warnings: list[Reason] = []
    removals: dict[str, Removal] = {}
    waits_for: str | None = None
    waits_until: str | None = None
    progress: Progress | None = None
    step: int | None = None
    announced_at: str
    updated_at: str


class Cause(msgspec.Struct, frozen=True):
    """What made a change: `import`, `members`, `stream`, `expiry`, `run`, `definition`, `composition`, `deletion`, …"""

    kind: str
    id: str


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """1 to 1,000 members of one audience that entered or exited in one step on one partition."""

    space_id: str
    audience_id: str
    change: Literal["entered", "exited"]
    member_type: str
    id_type: str
    at: str
    members: list[str]
    step: int
    cause: Cause


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Members as of this place in the log: no change. Addressed to an activation or a command."""

    space_id: str
    audience_id: str
    snapshot_id: str
    activation_id: str | None = None
    member_type: str
    id_type: str
    at: str
    members: list[str]
    step: int


class ActivationDifference(msgspec.Struct, frozen=True, kw_only=True):
    """`audience.difference`: what the destination of an activation lacks or has too much, as it goes on or ends.

    Also how members stand whose delivery had failed. Addressed to that activation alone, and no change of the audience:
    `entered` are to be added there, `exited` removed.
    """

    space_id: str
    activation_id: str
    audience_id: str
    change: Literal["entered", "exited"]
    member_type: str
    id_type: str
    at: str
    members: list[str]
    step: int


class ActivationMarker(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`activation.started`, `.updated`, `.waiting`, `.paused`, `.resumed`, `.ended` or `.forgotten` at its place.

    Usher's own. `replaces`: its resyncs take the place of whatever the list over there holds; `clears`: here is one,
    `followed_by` so many members, as snapshots of its step. `makes`: that list is made over there.
    """

    space_id: str
    marker: str
    activation: Activation
    queue: str
    replaces: bool = False
    clears: bool = False
    followed_by: int = 0
    makes: bool = False
    at: str
    step: int


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """Present members of one audience on one partition, key `space/audience/partition`."""

    partition: int
    partitions: int
    size: int
    at: str


class ActivationCounters(msgspec.Struct, frozen=True, kw_only=True):
    """Members. `changes = dropped + merged + delivered + dead_lettered + pending`.

    Some destinations take members and say later what became of them: of those delivered, `processing` await that,
    and `failed` were said to have failed.
    """

    changes: int = 0
    dropped: int = 0
    merged: int = 0
    delivered: int = 0
    dead_lettered: int = 0
    pending: int = 0
    processing: int = 0
    failed: int = 0
    uploads: int = 0


class ActivationTotals(msgspec.Struct, frozen=True, kw_only=True):
    """The eight counters of reference/digital-audience.md §4.1, of members but for the first and `upload_count`.

    `segment_upload_count = ready + processing + pending + failed + no_data`; null: no lane has said anything yet.
    `no_data`: a later state of the same member took its place. `log_count`: outcomes that were reported.
    """

    log_count: int = 0
    ready_count: int | None = None
    processing_count: int | None = None
    pending_count: int = 0
    upload_count: int = 0
    failed_count: int | None = None
    no_data_count: int | None = None
    segment_upload_count: int = 0


ACTIVATION_STATUS_IDS: Final = {
    "scheduled": 1,
    "running": 2,
    "paused": 3,
    "retrying": 4,
    "parked": 5,
    "disabled": 6,
    "ended": 7,
    "deleted": 8,
    "waiting-for-minimum": 9,
}
"""The number of each state (contracts/README.md). A new state gets a new number; no number is used again."""


class ActivationStatus(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Status and counters of one activation, key `space/activation`.

    `state`: `scheduled`, `running`, `paused`, `disabled`, `ended` or `deleted`; of one that should run also
    `waiting-for-minimum` (its audience is too small for its destination) and, as its lanes are, `retrying`, `parked` or
    `disabled`, the worst of them. `status_id` is its number in `ACTIVATION_STATUS_IDS`, 0 where it has none.
    `lag_records` members wait. `lag_seconds`: how long what was finished last, or what a lane tries in vain, had been
    in the queue; 0 where nothing waits, null before.
    `match_rate`: the share of what it was sent that the destination knows, in per cent (`31-40`), where it says so.
    """

    space_id: str
    activation_id: str
    destination_id: str
    audience_id: str
    state: str
    status_id: int = 0
    counters: ActivationCounters = ActivationCounters()
    totals: ActivationTotals = ActivationTotals()
    lag_records: int = 0
    lag_seconds: float | None = None
    last_success_at: str | None = None
    last_error: Reason | None = None
    match_rate: str | None = None
    updated_at: str

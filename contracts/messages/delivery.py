"""Between the router, the lanes and control: queues, outcomes, verifications, and the router's own state."""

from typing import Literal

import msgspec

from contracts.messages.entities import Activation
from contracts.messages.published import Cause


class RouterState(msgspec.Struct, frozen=True, kw_only=True):
    """The router's own record of an activation that runs on one changes partition, key `partition/space/activation`.

    A null value: it runs there no more. `step` is the step of the marker that made this form. `waiting`: it is paused
    until its audience is large enough, and what changes meanwhile is counted when it goes on. From its start to its
    end: `replaces`, its resyncs empty the list first; `makes`, its list is made over there. Either has one lane write
    it all.
    """

    space_id: str
    activation: Activation
    queue: str
    paused: bool = False
    waiting: bool = False
    replaces: bool = False
    makes: bool = False
    step: int


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One record of a delivery queue: what one change record means to one activation.

    `delivery_id` is stable over replays and retries. `sequence` is the change's offset: it grows for every identity,
    since an identity never changes its partition. `partition` is that partition. Name, type and mapping (its
    settings) are the activation's as the router knew them, so that what is sent of this record stays the same.

    `clear` has no members: the connection's list is to be emptied, or replaced, before what follows, once for all
    records of its `step`, of which there is one from each partition. `followed_by`: so many members of the resync are
    still to come from it.
    """

    delivery_id: str
    space_id: str
    activation_id: str
    activation_name: str = ""
    activation_type: str = "audience_membership_changed"
    mapping: dict[str, object] | None = None
    connection_id: str
    destination_id: str
    audience_id: str
    operation: Literal["add", "remove", "clear"]
    resync: bool
    id_type: str
    members: list[str]
    at: str
    step: int
    cause: Cause | None
    partition: int
    sequence: int
    followed_by: int = 0


class Routed(msgspec.Struct, frozen=True, kw_only=True, tag="routed", tag_field="type"):
    """router → control: what became of the changes of one activation up to `through_offset` of a changes partition.

    `changes` members were seen, of which `dropped` were not for this activation type. `ended_step` is the step of the
    latest marker among them that ended it, 0: none did. Control ignores a record whose `through_offset` it has counted
    for (partition, activation).
    """

    space_id: str
    activation_id: str
    partition: int
    through_offset: int
    changes: int
    dropped: int
    ended_step: int = 0


class Delivered(msgspec.Struct, frozen=True, kw_only=True, tag="delivered", tag_field="type"):
    """lane → control: what became of one activation's records of a queue partition up to `through_offset`.

    `waited_ms`: how long the last of them had been in the queue. Of `delivered`, `processing` were taken by a
    destination that says later what became of them (`Reported`).
    """

    space_id: str
    activation_id: str
    queue: str
    partition: int
    through_offset: int
    delivered: int
    merged: int
    dead_lettered: int
    uploads: int
    processing: int = 0
    waited_ms: int = 0
    at: str
    code: str | None = None
    detail: str | None = None


class LaneState(msgspec.Struct, frozen=True, kw_only=True, tag="lane-state", tag_field="type"):
    """lane → control: the lane of a destination is `delivering`, `retrying`, `parked` or `disabled`.

    Said when it changes, and after each failed attempt. `waited_ms`: how long what is waiting had been in the queue.
    """

    space_id: str
    destination_id: str
    queue: str
    partition: int
    state: str
    waited_ms: int = 0
    code: str | None = None
    detail: str | None = None
    at: str


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """control → activation: can this destination be reached, and does it let us in, with its present form?

    The answer is a `Verified` of the same `verification_id`. After `until_ms` nobody waits for it any more.
    """

    space_id: str
    verification_id: str
    destination_id: str
    until_ms: int


class Verified(msgspec.Struct, frozen=True, kw_only=True, tag="verified", tag_field="type"):
    """activation → control: what came of a `Verification`; maybe more than once. `code` None: all is well."""

    space_id: str
    verification_id: str
    destination_id: str
    code: str | None = None
    detail: str | None = None
    latency_ms: int
    at: str


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """lane → lane: `members` of one activation that a destination took, and what to ask it by from `ask_at` on.

    One that is not answered yet is written again, with a later `ask_at`. `taken_at` stays.
    """

    space_id: str
    activation_id: str
    connection_id: str
    destination_id: str
    receipt: str
    members: int
    taken_at: str
    ask_at: str


class Reported(msgspec.Struct, frozen=True, kw_only=True, tag="reported", tag_field="type"):
    """lane → control: what a destination says became of `members` that it had taken; `failed` of them failed.

    `partition` and `through_offset` are of the receipts, whose each record is reported on once at most.
    """

    space_id: str
    activation_id: str
    partition: int
    through_offset: int
    members: int
    failed: int = 0
    matched: str | None = None
    at: str
    code: str | None = None
    detail: str | None = None


class ListCleared(msgspec.Struct, frozen=True, kw_only=True, tag="list-cleared", tag_field="type"):
    """lane → control: a connection's list was emptied for the resync of a step; the connection will say so."""

    space_id: str
    connection_id: str
    step: int
    at: str


class ListMade(msgspec.Struct, frozen=True, kw_only=True, tag="list-made", tag_field="type"):
    """lane → control: a connection's list was found by its name, or made; the connection will say so.

    `version`: the form of the connection whose settings name it. Of another form it is another list.
    """

    space_id: str
    connection_id: str
    version: int
    external_audience_id: str
    at: str


Outcome = Routed | Delivered | LaneState | Verified | Reported | ListCleared | ListMade

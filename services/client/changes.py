"""Membership changes one identity at a time, in order: what entered and what exited, and where to go on."""

from collections.abc import AsyncGenerator, Iterator, Mapping
from typing import Literal, NamedTuple

from contracts import catalog, codec
from contracts.messages.published import Cause, Change
from contracts.records import Record, TopicPartition
from services.client.follower import Follower
from services.runtime.log import Log

Position = Mapping[int, int]
"""By partition of the changes, the offset of the record to read next."""

_CHANGES = ("audience.entered", "audience.exited")


class MemberChange(NamedTuple):
    """One identity entered or exited one audience.

    `change_id` and `number` (its place in the record, from 0) are the same on every reading: together they are the key
    by which a receiver drops repeats. `record_ends`: this is the last one of its record, so `offset + 1` may be kept.
    """

    space_id: str
    audience_id: str
    change: Literal["entered", "exited"]
    id_type: str
    member: str
    at: str
    step: int
    cause: Cause
    change_id: str
    number: int
    partition: int
    offset: int
    record_ends: bool


async def member_changes(
    log: Log, *, space: str | None = None, start: Position | None = None, from_beginning: bool = False
) -> AsyncGenerator[MemberChange]:
    """Changes of one space, or of all, for ever. Without `start` those of now on, or all that the topic keeps.

    The changes of an identity come in their order; across identities there is none. Raises `OffsetLost` where
    retention has passed `start`, `TopicMissing`, `Unavailable`.
    """
    arrived: list[Record] = []
    places = {TopicPartition(catalog.CHANGES, partition): offset for partition, offset in (start or {}).items()}
    follower = await Follower.open(
        log, [catalog.CHANGES], arrived.append, from_end=start is None and not from_beginning, start=places
    )
    try:
        while True:
            await follower.pump()
            for record in arrived:
                for change in _of_record(record, space):
                    yield change
            arrived.clear()
    finally:
        await follower.close()


def _of_record(record: Record, space: str | None) -> Iterator[MemberChange]:
    """Nothing of a snapshot or a marker of usher's own: they are no changes (contracts.md §4)."""
    if codec.header(record.headers, "ce_type") not in _CHANGES:
        return
    if space is not None and codec.header(record.headers, "ce_spaceid") != space:
        return
    change = codec.decode(record.value or b"", Change)
    change_id = codec.header(record.headers, "ce_id") or ""
    for number, member in enumerate(change.members):
        yield MemberChange(
            space_id=change.space_id,
            audience_id=change.audience_id,
            change=change.change,
            id_type=change.id_type,
            member=member,
            at=change.at,
            step=change.step,
            cause=change.cause,
            change_id=change_id,
            number=number,
            partition=record.partition,
            offset=record.offset,
            record_ends=number + 1 == len(change.members),
        )

"""From the effects of one step to records: changes in batches, markers, snapshots, sizes and results.

Ids are functions of step, partition and count, or of the source's offset and count, so a replay writes the same bytes.
Lazy: one batch of members is text at a time. A record stays under 1 MiB by construction: 1,000 identifiers of at most
256 bytes, doubled by escapes.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from itertools import count
from typing import Final, NamedTuple

from pyroaring import BitMap

from contracts.catalog import CHANGES, RESULTS, SIZES
from contracts.codec import Headers, encode, event_headers
from contracts.instants import instant_text
from contracts.messages.published import ActivationDifference, ActivationMarker, Change, Size
from contracts.messages.published import Snapshot as SnapshotMessage
from contracts.messages.results import Result
from contracts.messages.steps import ActivationStep
from contracts.partitioning import space_partition
from contracts.records import Out
from services.domain.membership.effects import Addressed, AudienceChange, Direction, Effects, Snapshot
from services.domain.membership.identities.bitmaps import ordinals_of
from services.domain.membership.identities.table import Ordinals

SOURCE: Final = "/usher/membership"
MEMBERS_MAX: Final = 1_000
_home = lru_cache(space_partition)
_LIST: Final = b'"members":['
_NOBODY: Final = _LIST + b"]"
_Listing = Change | SnapshotMessage | ActivationDifference


class Place(NamedTuple):
    """Where membership speaks from: a partition of how many, and how many partitions the results topic has."""

    partition: int
    partitions: int
    results_partitions: int


Spelled = Callable[[str, Ordinals], bytes]
"""The identifiers of sorted ordinals of an id type as JSON texts with commas between them."""


class StepWriter:
    """Writes what one step of one space did on this partition; `source` is what did it where that was no step."""

    def __init__(
        self, place: Place, space_id: str, step: int, at_ms: int, spelled: Spelled, *, source: str | None = None
    ) -> None:
        self._place = place
        self._space_id = space_id
        self._step = step
        self._at = instant_text(at_ms)
        self._spelled = spelled
        self._id = f"{space_id}.{source or f'{step}.{place.partition}'}"

    def stream(self, effects: Effects) -> Iterator[Out]:
        """The records of the changes topic, in order."""
        numbers = count()
        for change in effects.changes:
            yield from self._changes(change, numbers)
        for addressed in effects.before_marker:
            yield from self._addressed(addressed)
        if effects.marker is not None:
            yield self._marker(effects.marker, sum(len(one.members) for one in effects.snapshots))
        for addressed in effects.after_marker:
            yield from self._addressed(addressed)
        for snapshot in effects.snapshots:
            yield from self._snapshot(snapshot)

    def closing(self, effects: Effects) -> Iterator[Out]:
        """Sizes and results: they lie on partitions shared with others, so they are produced last."""
        for audience_id, size in sorted(effects.sizes.items()):
            yield self._size(audience_id, size)
        for number, result in enumerate(effects.results):
            yield self.result(result, f"{self._id}.result-{number}")

    def result(self, result: Result, event_id: str) -> Out:
        """One record of the results topic."""
        headers = self._headers(str(type(result).__struct_config__.tag), event_id, None)
        home = _home(self._space_id, self._place.results_partitions)
        return Out(RESULTS, self._space_id.encode(), encode(result), headers, home)

    def _size(self, audience_id: str, size: int | None) -> Out:
        partition, partitions, _ = self._place
        value = None
        if size is not None:
            value = encode(Size(partition=partition, partitions=partitions, size=size, at=self._at))
        key = f"{self._space_id}/{audience_id}/{partition}".encode()
        headers = self._headers("audience.size", f"{self._id}.size.{audience_id}", audience_id)
        return Out(SIZES, key, value, headers, partition)

    def _changes(self, change: AudienceChange, numbers: Iterator[int]) -> Iterator[Out]:
        audience, difference, cause = change
        directions: tuple[tuple[Direction, BitMap], ...] = (
            ("exited", difference.exited),
            ("entered", difference.entered),
        )
        for direction, members in directions:
            if not members:
                continue
            message = Change(
                space_id=self._space_id,
                audience_id=audience.audience_id,
                change=direction,
                member_type=audience.member_type,
                id_type=audience.id_type,
                at=self._at,
                members=[],
                step=self._step,
                cause=cause,
            )
            for value in self._listed(message, members):
                yield self._said(f"audience.{direction}", f"{self._id}.{next(numbers)}", message, value)

    def _marker(self, said: ActivationStep, followed_by: int) -> Out:
        clears = said.replaces and said.resync
        marker = ActivationMarker(
            space_id=self._space_id,
            marker=said.marker,
            activation=said.activation,
            queue=said.queue,
            replaces=said.replaces,
            clears=clears,
            followed_by=followed_by if clears else 0,
            makes=said.makes,
            at=self._at,
            step=self._step,
        )
        headers = self._headers(f"activation.{said.marker}", f"{self._id}.marker", said.activation.activation_id)
        return Out(CHANGES, None, encode(marker), headers, self._place.partition)

    def _snapshot(self, snapshot: Snapshot) -> Iterator[Out]:
        audience = snapshot.audience
        message = SnapshotMessage(
            space_id=self._space_id,
            audience_id=audience.audience_id,
            snapshot_id=snapshot.snapshot_id,
            activation_id=snapshot.activation_id,
            member_type=audience.member_type,
            id_type=audience.id_type,
            at=self._at,
            members=[],
            step=self._step,
        )
        for number, value in enumerate(self._listed(message, snapshot.members)):
            event_id = f"{snapshot.snapshot_id}.{self._place.partition}.{number}"
            yield self._said("audience.snapshot", event_id, message, value)

    def _addressed(self, addressed: Addressed) -> Iterator[Out]:
        audience = addressed.audience
        message = ActivationDifference(
            space_id=self._space_id,
            activation_id=addressed.activation_id,
            audience_id=audience.audience_id,
            change=addressed.change,
            member_type=audience.member_type,
            id_type=audience.id_type,
            at=self._at,
            members=[],
            step=self._step,
        )
        for number, value in enumerate(self._listed(message, addressed.members)):
            yield self._said("audience.difference", f"{self._id}.{addressed.change}.{number}", message, value)

    def _listed(self, message: _Listing, members: BitMap) -> Iterator[bytes]:
        """The JSON of a message whose list is still empty, for each batch of members, spelled straight into it."""
        ordinals = ordinals_of(members)
        before, _, after = encode(message).partition(_NOBODY)  # in no text before it: quotes are escaped there
        for start in range(0, len(ordinals), MEMBERS_MAX):
            spelled = self._spelled(message.id_type, ordinals[start : start + MEMBERS_MAX])
            yield b"".join((before, _LIST, spelled, b"]", after))

    def _said(self, kind: str, event_id: str, message: _Listing, value: bytes) -> Out:
        return Out(CHANGES, None, value, self._headers(kind, event_id, message.audience_id), self._place.partition)

    def _headers(self, kind: str, event_id: str, subject: str | None) -> Headers:
        return event_headers(
            id=event_id, source=SOURCE, type=kind, space_id=self._space_id, time=self._at, subject=subject
        )

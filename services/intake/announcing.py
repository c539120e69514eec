"""From one raw notification to what must be written: announcements for control, or dead letters.

Asks the catalogue which feeds read the object and the store for its exact version. Writes and acknowledges nothing:
that is `watch`'s, whose two forms (Kafka and SQS) share this, and `reconcile`'s.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

from contracts import codes
from contracts.codes import Code
from contracts.messages.entities import Feed
from contracts.messages.intake import ObjectAnnounced, ObjectVersion
from contracts.object_events import Ignored, Notification, ObjectCreated, Unreadable, read_notification
from contracts.records import Out
from services.domain.intake.keys import is_marker, is_never_rows
from services.intake import events
from services.intake.telemetry import NOTIFICATIONS, RECONCILED, NotificationsRefused
from services.runtime.catalogue_view import CatalogueView
from services.runtime.failures import Rejected
from services.runtime.objects import Objects

T = TypeVar("T")

_STATS_AT_ONCE: Final = 32  # one round trip each: a batch of small files must not wait for them one after another
_MAY_BE_ANOTHER_KEY: Final = frozenset({codes.OBJECT_GONE, codes.OBJECT_ACCESS_DENIED})  # S3 hides what is not there


@dataclass(frozen=True)
class Message:
    """One raw notification. `dead_letter` makes its letter; `source` is a topic or a queue's URL."""

    body: bytes
    received_ms: int
    source: str
    dead_letter: Callable[[Code, str], Out]


@dataclass(frozen=True)
class _Outcome:
    """What became of one record of a notification."""

    outcome: str
    outs: list[Out] = field(default_factory=list)
    refusal: tuple[Code, str] | None = None


class Announcer:
    """Stateless but for the catalogue view, which others keep."""

    def __init__(
        self, catalogue: CatalogueView, objects: Objects, *, default_bucket: str | None, control_partitions: int
    ) -> None:
        self._catalogue = catalogue
        self._objects = objects
        self._default_bucket = default_bucket
        self._control_partitions = control_partitions
        self._slots = asyncio.Semaphore(_STATS_AT_ONCE)

    async def outs(self, messages: Sequence[Message]) -> list[Out]:
        """What to write for messages that have arrived, in their order; raises `Unavailable`.

        A message leaves at most one dead letter for each code, however many of its records it concerns.
        """
        read = [read_notification(message.body) for message in messages]
        await self._catalogue.caught_up()
        found = await asyncio.gather(
            *(self._outcome(one, message) for message, parts in zip(messages, read, strict=True) for one in parts),
            return_exceptions=True,  # so that none is left running when one fails
        )
        outcomes = (_or_raise(outcome) for outcome in found)
        outs: list[Out] = []
        for message, parts in zip(messages, read, strict=True):
            outs += _written(message, [next(outcomes) for _ in parts])
        return outs

    async def outs_of_listed(self, listed: Sequence[tuple[ObjectVersion, list[Feed]]]) -> list[Out]:
        """What to write for objects of a listing, each for its feeds; raises `Unavailable`."""
        found = await asyncio.gather(*(self._listed(*one) for one in listed), return_exceptions=True)
        return [out for outs in found for out in _or_raise(outs)]

    def feeds(self, bucket: str, key: str) -> list[Feed]:
        """Whose rows the object may hold; of what is never rows: whose folder it marks as complete."""
        feeds = self._catalogue.feeds_for(bucket, key, default_bucket=self._default_bucket)
        return [feed for feed in feeds if is_marker(key, feed)] if is_never_rows(key) else feeds

    async def _listed(self, listed: ObjectVersion, feeds: Sequence[Feed]) -> list[Out]:
        """Nothing where the object is no longer what the listing said: then the next listing says more."""
        code = None
        try:
            async with self._slots:
                listed = await self._objects.stat(listed.bucket, listed.key, etag=listed.etag)
        except Rejected as refused:
            if refused.code in {codes.OBJECT_GONE, codes.OBJECT_OVERWRITTEN}:
                return []
            code = refused.code.code
        RECONCILED.add(len(feeds), outcome=code or "announced")
        return [self._announcement_of_listed(listed, feed, code) for feed in feeds]

    def _announcement_of_listed(self, version: ObjectVersion, feed: Feed, code: str | None) -> Out:
        """A marker is as young as it may be, for parts of the same second are not younger than it."""
        modified_ms = version.last_modified_ms or 0
        said = ObjectAnnounced(
            space_id=feed.space_id,
            feed_id=feed.feed_id,
            object=version,
            event_time_ms=modified_ms // 1000 * 1000 + 999 if is_marker(version.key, feed) else modified_ms,
            code=code,
            reconciled=True,
        )
        return events.announcement(said, partitions=self._control_partitions)

    async def _outcome(self, notification: Notification, message: Message) -> _Outcome:
        match notification:
            case Ignored(reason=reason):
                return _Outcome(reason)
            case Unreadable(code=code, detail=detail):
                return _Outcome(code, refusal=(codes.ALL[code], detail))
            case ObjectCreated():
                return await self._created(notification, message)

    async def _created(self, created: ObjectCreated, message: Message) -> _Outcome:
        keys = [key for key in (created.key, created.key_alternative) if key is not None]
        by_key = [(key, self.feeds(created.bucket, key)) for key in keys]
        never = [is_never_rows(key) and not feeds for key, feeds in by_key]
        if never[0]:
            return _Outcome("never-rows")
        readings = [(key, feeds) for key, feeds in by_key if feeds]
        found = await self._version(created, readings) if readings else None
        if any(never) and (found is None or found[1] is not None):
            return _Outcome("never-rows")  # the other reading of the key says so, and this one is not there
        if found is None:
            refusal = codes.NO_FEED_FOR_OBJECT, f"no enabled feed reads this prefix of bucket {created.bucket}"
            return _Outcome(refusal[0].code, refusal=refusal)
        version, code, feeds = found
        last_modified_ms = version.last_modified_ms or 0
        outs = [
            events.announcement(
                ObjectAnnounced(
                    space_id=feed.space_id,
                    feed_id=feed.feed_id,
                    object=version,
                    # Content that was put again after this event is as new as the store says it is.
                    event_time_ms=max(created.event_time_ms or 0, last_modified_ms) or message.received_ms,
                    sequencer=created.sequencer,
                    code=None if code is None else code.code,
                ),
                partitions=self._control_partitions,
            )
            for feed in feeds
        ]
        return _Outcome("announced" if code is None else f"announced-{code.code}", outs)

    async def _version(
        self, created: ObjectCreated, readings: Sequence[tuple[str, list[Feed]]]
    ) -> tuple[ObjectVersion, Code | None, list[Feed]]:
        """The exact version under the first key that is there; else as it was announced, and why it can't be read."""
        failures: list[tuple[ObjectVersion, Code, list[Feed]]] = []
        for key, feeds in readings:
            try:
                async with self._slots:
                    version = await self._objects.stat(
                        created.bucket, key, version_id=created.version_id, etag=created.etag
                    )
            except Rejected as refused:
                announced = ObjectVersion(
                    bucket=created.bucket,
                    key=key,
                    version_id=created.version_id,
                    etag=created.etag,
                    size_bytes=created.size_bytes,
                )
                failures.append((announced, refused.code, feeds))
                if refused.code not in _MAY_BE_ANOTHER_KEY:
                    break
            else:
                return version, None, feeds
        return failures[0]


def _or_raise(outcome: T | BaseException) -> T:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def _written(message: Message, outcomes: Sequence[_Outcome]) -> list[Out]:
    for outcome, count in Counter(one.outcome for one in outcomes).items():
        NOTIFICATIONS.add(count, outcome=outcome)
    outs = [out for one in outcomes for out in one.outs]
    refusals = [one.refusal for one in outcomes if one.refusal is not None]
    for code, count in Counter(code for code, _ in refusals).items():
        first = next(detail for other, detail in refusals if other is code)
        detail = first if len(outcomes) == 1 else f"{count} of {len(outcomes)} records: {first}"
        outs.append(message.dead_letter(code, detail))
        NotificationsRefused(source=message.source, code=code.code, records=count, detail=detail).emit()
    return outs

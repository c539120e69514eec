"""Which objects of a listing nobody has announced: what the reconciler looks at, and what it leaves alone.

An object counts that is as old as the feed that reads it or younger, that control would still remember, and that has
had time to be announced (decisions/0011-reconciliation.md). Pure; called by `services.intake.reconcile`.
"""

import zlib
from collections.abc import Iterable
from typing import Final

from contracts.ids import made_id
from contracts.instants import parse_instant
from contracts.messages.entities import Feed
from contracts.messages.intake import ObjectVersion

LOOK_BACK_MS: Final = 29 * 86_400_000  # a day less than control remembers object versions

Place = tuple[str, str]
"""A bucket and a prefix."""


def places(feeds: Iterable[Feed], *, default_bucket: str | None) -> list[Place]:
    """What to list so that each object of an enabled feed comes once: the prefixes that lie within no other."""
    watched = {
        (feed.source.bucket or default_bucket or "", feed.source.prefix or "")
        for feed in feeds
        if feed.enabled and feed.source.kind == "s3"
    }
    outermost: list[Place] = []
    for bucket, prefix in sorted(watched):  # a prefix comes right before what lies within it
        if bucket and not (outermost and bucket == outermost[-1][0] and prefix.startswith(outermost[-1][1])):
            outermost.append((bucket, prefix))
    return outermost


def share_of(place: Place, shares: int) -> int:
    """Which of so many workers' shares a place belongs to."""
    return zlib.crc32("/".join(place).encode()) % shares


def counts(version: ObjectVersion, *, now_ms: int, grace_ms: int) -> bool:
    """Whether an object is neither too old nor too young for anybody's feed."""
    return now_ms - LOOK_BACK_MS <= (version.last_modified_ms or 0) <= now_ms - grace_ms


def may_be_lost(version: ObjectVersion, feed: Feed) -> bool:
    """Whether the feed had its prefix when the object was put; stores may tell whole seconds only."""
    since_ms = parse_instant(feed.watched_since or feed.created_at) or 0
    return (version.last_modified_ms or 0) >= since_ms // 1000 * 1000


class KnownVersions:
    """Object versions that are imports already, as far back as they count. A few hundred bytes each.

    By bucket, key, eTag and the second of the last change: all that a listing says of a version.
    """

    def __init__(self) -> None:
        self._last_modified_ms: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._last_modified_ms)

    def add(self, space_id: str, version: ObjectVersion, *, at_ms: int) -> None:
        """It is an import of the space. `at_ms` counts where its age is not known: it could not be looked at then."""
        self._last_modified_ms[_name(space_id, version)] = version.last_modified_ms or at_ms

    def has(self, space_id: str, version: ObjectVersion) -> bool:
        """Whether a version of a listing is one of them."""
        unseen = ObjectVersion(bucket=version.bucket, key=version.key, etag=version.etag)
        return any(_name(space_id, one) in self._last_modified_ms for one in (version, unseen))

    def forget(self, before_ms: int) -> None:
        """Those that are older no longer count."""
        self._last_modified_ms = {name: at_ms for name, at_ms in self._last_modified_ms.items() if at_ms >= before_ms}


def _name(space_id: str, version: ObjectVersion) -> str:
    return made_id(
        "known", space_id, version.bucket, version.key, version.etag or "", (version.last_modified_ms or 0) // 1000
    )

"""The events of the peers' work: 200,000 profiles, ten audiences, 70 % enter; the same at each call."""

import uuid
import zlib
from collections import Counter
from collections.abc import Iterator
from random import Random
from typing import Final, NamedTuple

from contracts.catalog import TopicSpec
from contracts.records import Out
from services.runtime.log import Log

PARTITIONS: Final = 4
AUDIENCES: Final = tuple(f"aud_{number:02d}" for number in range(10))
_PROFILES: Final = 200_000
_AT_ONCE: Final = 50_000  # in memory


class Event(NamedTuple):
    """One profile enters an audience, or exits from it."""

    profile: str
    audience: str
    enters: bool


class Expected(NamedTuple):
    """What the events add up to: changes of membership, and the members of each audience in the end."""

    changes: int
    sizes: dict[str, int]


def events_of(count: int) -> Iterator[Event]:
    """The first so many."""
    random = Random(7)
    profiles = [str(uuid.UUID(int=random.getrandbits(128), version=4)) for _ in range(_PROFILES)]
    for _ in range(count):
        profile, audience = profiles[random.randrange(_PROFILES)], AUDIENCES[random.randrange(len(AUDIENCES))]
        yield Event(profile, audience, random.random() < 0.7)


def for_peers(event: Event) -> bytes:
    """As the peers read it."""
    op = "enter" if event.enters else "exit"
    return b'{"profile_id": "%s", "audience_id": "%s", "op": "%s"}' % (
        event.profile.encode(), event.audience.encode(), op.encode(),
    )  # fmt: skip


def for_usher(event: Event) -> bytes:
    """As a topic feed reads it."""
    op = "add" if event.enters else "remove"
    return b'{"id": "%s", "audience": "%s", "op": "%s"}' % (
        event.profile.encode(), event.audience.encode(), op.encode(),
    )  # fmt: skip


async def make_topic(log: Log, name: str) -> None:
    """One of four partitions."""
    spec = TopicSpec(name=name, partitions=PARTITIONS, cleanup="delete", retention_ms=-1, max_message_bytes=1 << 20)
    await log.ensure_topic(spec)


async def write_events(log: Log, topic: str, count: int, *, usher: bool) -> Expected:
    """Writes them to a new topic, keyed by profile."""
    await make_topic(log, topic)
    producer = await log.producer()
    spelled = for_usher if usher else for_peers
    members: set[tuple[str, str]] = set()
    changes = 0
    outs: list[Out] = []
    for event in events_of(count):
        profile, audience, enters = event
        if ((profile, audience) in members) != enters:
            changes += 1
            (members.add if enters else members.discard)((profile, audience))
        key = profile.encode()
        outs.append(Out(topic, key, spelled(event), (), zlib.crc32(key) % PARTITIONS))
        if len(outs) == _AT_ONCE:
            await producer.send(outs)
            outs.clear()
    await producer.send(outs)
    await producer.close()
    return Expected(changes, dict(Counter(audience for _, audience in members)))

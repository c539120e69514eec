"""What a chaos user gives beside plain files: events on a topic, and files that a marker makes one. Remembers both."""

import json
from collections import defaultdict
from dataclasses import dataclass, field
from itertools import count, product
from random import Random
from typing import Final

from contracts.catalog import TopicSpec
from contracts.messages.published import Import
from contracts.partitioning import member_partition
from contracts.records import Out
from services.runtime.log import Log, Producer
from services.tools.observed import TERMINAL
from tests.broker.chaos_blocks import BLOCKS, SINGLES, Content, identities, lines
from tests.broker.space import Space
from tests.broker.system import PARTITIONS

SOURCES: Final = 2
HEARD: Final = "heard"  # the audience that only the last events name
MARKER: Final = "_DONE"
MARKER_DAYS: Final = 30  # longer than the user's time goes on by while services are struck
_SETS: Final = "sets"

Event = tuple[str, str, str]
"""Identity, audience, `add` or `remove`."""


@dataclass
class Events:
    """A topic of single events, and what was sent on each of its partitions, in order."""

    random: Random
    space: Space
    log: Log  # with topics by their whole names
    sent: dict[int, list[Event]] = field(default_factory=lambda: defaultdict(list))

    @property
    def topic(self) -> str:
        return f"{self.space.name}.events"

    async def set_up(self) -> None:
        spec = TopicSpec(
            name=self.topic, partitions=SOURCES, cleanup="delete", retention_ms=-1, max_message_bytes=1 << 20
        )
        await self.log.ensure_topic(spec)
        self._producer: Producer = await self.log.producer()
        source = {"kind": "topic", "topic": self.topic}
        item: dict[str, object] = {"name": "events", "source": source, "id_type": "kuid"}
        await self.space.send("audiences.create", {"id": HEARD, "name": HEARD, "kind": "list", "id_type": "kuid"})
        await self.space.send("feeds.create", item)

    async def send(self, audiences: tuple[str, ...]) -> None:
        """Some, of which each may take back the one before."""
        source, choose = self.random.randrange(SOURCES), self.random.choice
        events = [
            (identities(choose(SINGLES))[0], choose(audiences), choose(("add", "add", "remove")))
            for _ in range(choose((1, 3, 30)))
        ]
        await self._send(source, events)

    async def finish(self) -> None:
        """Returns when all that was sent has been applied: for each partition its last event to each home is seen."""
        homes = range(PARTITIONS["membership"])
        fresh = (identities(block)[0] for block in count(BLOCKS.stop))
        last = set()
        for source, home in product(range(SOURCES), homes):
            identity = next(one for one in fresh if member_partition(one, len(homes)) == home)
            last.add(identity)
            await self._send(source, [(identity, HEARD, "add")])
        await self.space.until("the last events", lambda: self.space.members(HEARD) == last)

    async def _send(self, source: int, events: list[Event]) -> None:
        said = [dict(zip(("id", "audience", "op"), event, strict=True)) for event in events]
        await self._producer.send([Out(self.topic, None, json.dumps(one).encode(), (), source) for one in said])
        self.sent[source] += events


@dataclass
class MarkedSets:
    """Folders of files with a marker, all of which a store may announce in any order: the parts of each by its folder."""

    space: Space
    parts: dict[str, list[Content]] = field(default_factory=dict)

    async def set_up(self) -> None:
        complete_on = {"marker": MARKER, "timeout_seconds": MARKER_DAYS * 86_400}
        await self.space.feed(_SETS, mode="append", lookback_days=2, complete_on=complete_on)

    async def put(self, day: str, parts: list[Content]) -> None:
        folder = f"{_SETS}/{day}set-{len(self.parts)}/"
        self.parts[self.space.prefix + folder] = parts
        for number, part in enumerate(parts):
            await self.space.put(f"{folder}part-{number}.txt", lines(part))
        await self.space.put(folder + MARKER, b"")

    def of(self, folder: str) -> list[Import]:
        """What became of its objects, but for those that were announced again."""
        return [one for one in self._imports() if one.state != "duplicate" and _folder(one) == folder]

    def all_heard_of(self) -> bool:
        """Whether every part and every marker has been heard of."""
        return all(
            sum(one.objects or 0 for one in self.of(folder)) == len(parts)
            and any(one.object is not None and one.object.key == folder + MARKER for one in self.of(folder))
            for folder, parts in self.parts.items()
        )

    def late(self, one: Import) -> bool:
        """Whether it waits for a marker, or for what is marked, that was taken before: until it lapses."""
        return _folder(one) in self.parts and one.waits_until is not None and one.state not in TERMINAL

    def _imports(self) -> list[Import]:
        return [one for one in self.space.observed.imports.values() if one.object is not None]


def _folder(one: Import) -> str:
    return "" if one.object is None else one.object.key.rpartition("/")[0] + "/"

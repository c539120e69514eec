"""What users give usher beside files of their own: events on a topic, files that a marker makes one, and decisions.

Made by `user` for each space. What was given is remembered, for the laws.
"""

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from contracts.catalog import TopicSpec
from contracts.instants import day_of
from contracts.records import Out
from services.runtime.log import Log
from tests.simulation.files import Feed, File, file

PARTITIONS: Final = 2
MARKER: Final = "_DONE"
MARKER_SECONDS: Final = 120  # of the space's time
STREAM_FEED: Final = "feed_stream"
SET_FEED: Final = "sets"
REMOVE_SHARE_MAX: Final = 0.3
_NONSENSE: Final = {
    "event-invalid": '{"op":"add"}',
    "row-audience-unknown": '{"id":"u000001","audience":"?","op":"add"}',
}

Send = Callable[[str, Sequence[Mapping[str, object]]], Awaitable[None]]
"""Writes a command to the space, by type and items."""


@dataclass
class Sources:
    """Of one space."""

    random: Random
    space: str
    id_type: str
    identities: list[str]
    log: Log
    send: Send
    put: Callable[[File], Awaitable[None]]  # puts and announces
    events: list[tuple[str, str, str]] = field(default_factory=list)  # id, audience, op: as they were sent
    sets: dict[str, list[File]] = field(default_factory=dict)  # the parts by folder
    wrong: set[str] = field(default_factory=set)  # codes of events that were none

    @property
    def topic(self) -> str:
        return f"{self.space}.events"

    async def set_up(self) -> None:
        """The topic and its feed, a feed of marked folders, and one that is guarded."""
        await self.log.ensure_topic(
            TopicSpec(
                name=self.topic,
                partitions=PARTITIONS,
                cleanup="delete",
                retention_ms=86_400_000,
                max_message_bytes=1 << 20,
            )
        )
        stream = {"id": STREAM_FEED, "name": "stream", "source": {"kind": "topic", "topic": self.topic}}
        marked = {"complete_on": {"marker": MARKER, "timeout_seconds": MARKER_SECONDS}, "name": SET_FEED}
        await self.send("feeds.create", [stream | {"id_type": self.id_type}])
        await self.send("feeds.create", [self._set_feed().item() | marked])

    async def stream(self, audiences: Sequence[str]) -> None:
        """Some events, the same twice among them, and at times one that is none."""
        outs = []
        for _ in range(self.random.choice((1, 3, 10))):
            event = (
                self.random.choice(self.identities),
                self.random.choice(audiences),
                self.random.choice(("add", "remove")),
            )
            for _ in range(self.random.choice((1, 1, 2))):
                self.events.append(event)
                outs.append(self._out(json.dumps(dict(zip(("id", "audience", "op"), event, strict=True)))))
        if self.random.random() < 0.1:
            code = self.random.choice(sorted(_NONSENSE))
            self.wrong.add(code)
            outs.append(self._out(_NONSENSE[code].replace("u000001", self.identities[0])))
        await (await self.log.producer()).send(outs)

    async def mark(self, audiences: Sequence[str], now_ms: int) -> None:
        """A folder of files and its marker, in any order."""
        feed = self._set_feed()
        folder = f"{feed.prefix}{day_of(now_ms)}/set-{len(self.sets)}/"
        parts = [
            file(self.random, feed, f"{folder}part-{number}", self.identities, list(audiences))
            for number in range(self.random.randint(1, 3))
        ]
        self.sets[folder] = parts
        marker = File(feed=feed, key=f"{folder}{MARKER}", body=b"", rows=(), bad=0)
        for one in (*parts, marker):
            await self.put(one)

    async def decide(self, held: Sequence[str]) -> None:
        """About imports that are held: some are no longer when the word comes."""
        for import_id in held:
            await self.send(self.random.choice(("imports.approve", "imports.reject")), [{"import": import_id}])

    def whole(self, folder: str) -> list[Counter[tuple[str, str]]]:
        """The rows of each part, by audience as it is named."""
        return [Counter(part.rows) for part in self.sets[folder]]

    def _out(self, value: str) -> Out:
        return Out(self.topic, None, value.encode(), (), self.random.randrange(PARTITIONS))

    def _set_feed(self) -> Feed:
        fields: dict[str, Any] = {"mode": "append", "lookback_days": 3, "format": "caret", "audience_from": "column"}
        return Feed(space=self.space, name=SET_FEED, id_type=self.id_type, **fields)

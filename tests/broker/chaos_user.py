"""A user of one space who goes on whatever befalls the services: files, events, commands, days, runs.

Remembers what was meant.
"""

import asyncio
import gzip
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from contracts.instants import DAY_MS, day_start_ms, instant_text
from contracts.messages.published import Reply
from services.runtime.log import Log
from services.tools.observed import TERMINAL
from tests.broker.announcing import aws, message
from tests.broker.chaos_blocks import BLOCKS, Content, identities, lines
from tests.broker.chaos_sources import MARKER_DAYS, Events, MarkedSets
from tests.broker.space import Space
from tests.broker.system import DEADLINE_SECONDS, SECRET_REFERENCE

START: Final = "2026-01-01"
LISTS: Final = "a", "b", "c", "slow"
FEEDS: Final[dict[str, dict[str, Any]]] = {
    "full": {},
    "guarded": {"remove_share_max": 0.4},
    "incr": {"mode": "append", "lookback_days": 2},
    "gone": {"mode": "remove"},
}
_HOUR_MS: Final = 3_600_000
_MEMBERS: Final = ("add", "add", "add", "remove", "remove", "replace", "clear")


@dataclass(frozen=True)
class Patch:
    """What a members command says."""

    operation: str
    audience: str
    blocks: frozenset[int]


@dataclass
class User:
    """`files` by key, `patches` by command id, `events` and `sets` are what the outcome is held against."""

    random: Random
    space: Space
    hook: str
    broker: Log  # with topics by their whole names
    files: dict[str, Content] = field(default_factory=dict)
    patches: dict[str, Patch] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)  # ids of further commands, all of which must be accepted
    decisions: list[str] = field(default_factory=list)  # ids of commands that may come too late
    now_ms: int = day_start_ms(START)

    def __post_init__(self) -> None:
        self.events = Events(self.random, self.space, self.broker)
        self.sets = MarkedSets(self.space)

    async def set_up(self) -> None:
        """Lists, one of them scheduled, compositions of them, one of which is delivered, and a feed of each kind."""
        space = self.space
        base = {"kind": "list", "id_type": "kuid"}
        runs = {"evaluation": {"mode": "scheduled", "at": ["00:00", "12:00"]}}
        await space.send(
            "audiences.create",
            *({"id": name, "name": name, **base, **(runs if name == "slow" else {})} for name in LISTS),
            {"id": "x", "name": "x", "expression": {"and": [{"audience": "a"}, {"not": {"audience": "b"}}]}},
            {"id": "y", "name": "y", "expression": {"or": [{"audience": "x"}, {"audience": "slow"}]}},
            {"id": "delivered", "name": "delivered", "expression": {"or": [{"audience": "y"}, {"audience": "c"}]}},
        )
        for name, fields in FEEDS.items():
            await space.feed(name, **fields)
        await self.events.set_up()
        await self.sets.set_up()
        await space.destination("receiver", self.hook, secrets={"signing": SECRET_REFERENCE})
        await space.send(
            "activations.create",
            {"id": "act", "name": "act", "audience": "delivered", "destination": "receiver", "perform_resync": True},
        )

    async def live(self, stopping: asyncio.Event, *, a_second: float = 4) -> None:
        """One thing after the other, so many on average, none of them awaited."""
        doings = ((7, self._upload), (2, self._announce_again), (2, self._upload_set), (6, self._stream),
                  (7, self._patch), (3, self._advance), (2, self._run), (2, self._compose), (3, self._decide))  # fmt: skip
        while not stopping.is_set():
            _, do = self.random.choices(doings, [weight for weight, _ in doings])[0]
            await do()
            await asyncio.sleep(self.random.expovariate(a_second))
            await self.space.glance()

    async def settle(self) -> None:
        """Returns when all that was asked for has been answered, and what became of it can be read."""
        for command_id in (*self.patches, *self.others):
            reply = await self._reply(command_id)
            assert reply.status == "accepted", reply
            assert not reply.errors, reply
        await self._rest()
        while self._held():
            await self._decide()
            for command_id in self.decisions:
                await self._reply(command_id)
            self.decisions.clear()
            await self.space.catch_up()
            await self._rest()
        if self._late():  # what was marked was taken without them
            await self._reply(await self._advance_by(MARKER_DAYS * 24))
            await self.space.until("the last parts have lapsed", lambda: not self._late())
        await self.events.finish()
        last = await self._send_patch("add", "c", BLOCKS)  # on all partitions, behind everything else
        (item,) = (await self._reply(last)).data
        ended = await self.space.import_ended(str(item["import_id"]))
        assert ended.state == "applied", ended
        await self.space.catch_up()

    async def _reply(self, command_id: str) -> Reply:
        return await self.space.client.reply(command_id, timeout_seconds=DEADLINE_SECONDS)

    async def _rest(self) -> None:
        await self.space.until("every file has come to its end or is held", self._all_rest)

    def _all_rest(self) -> bool:
        imports = self.space.observed.imports.values()
        heard_of = {one.object.key for one in imports if one.object is not None}
        rest = all(one.state in TERMINAL or (one.waits_for and self._held()) or self.sets.late(one) for one in imports)
        return rest and self.files.keys() <= heard_of and self.sets.all_heard_of()

    def _late(self) -> bool:
        return any(map(self.sets.late, self.space.observed.imports.values()))

    def _held(self) -> list[str]:
        return [one.import_id for one in self.space.observed.imports.values() if one.state == "held"]

    async def _command(self, type_: str, item: dict[str, object]) -> str:
        return await self.space.client.publish(self.space.name, type_, {"items": [item]})

    async def _upload(self) -> None:
        feed = self.random.choice(list(FEEDS))
        content = self._content(self.random.choice((1, 5, 15, 30)))
        body, zipped = lines(content), self.random.random() < 0.5
        path = f"{feed}/{self._some_day()}{len(self.files)}.txt{'.gz' if zipped else ''}"
        self.files[self.space.prefix + path] = content
        await self.space.put(path, gzip.compress(body, 1) if zipped else body)

    async def _upload_set(self) -> None:
        await self.sets.put(self._some_day(), [self._content(5) for _ in range(self.random.randint(1, 3))])

    async def _stream(self) -> None:
        await self.events.send(LISTS)

    def _content(self, count: int) -> Content:
        named = [(block, name) for block in BLOCKS for name in LISTS]
        return Counter(self.random.choices(named, k=count))

    def _some_day(self) -> str:
        day_ms = self.now_ms - self.random.choice((0, 0, 0, 1, 3)) * DAY_MS
        return f"{instant_text(day_ms)[:10]}/"

    async def _announce_again(self) -> None:
        if self.files:
            key = self.random.choice(list(self.files))
            await self.space.system.notify(message(aws(self.space.system.bucket, key)))

    async def _patch(self) -> None:
        operation = self.random.choice(_MEMBERS)
        blocks = range(0) if operation == "clear" else self.random.choices(BLOCKS, k=self.random.randint(1, 3))
        await self._send_patch(operation, self.random.choice(LISTS), blocks)

    async def _send_patch(self, operation: str, audience: str, blocks: Any) -> str:
        item: dict[str, object] = {"audience": audience}
        if operation != "clear":
            item["identifiers"] = [one for block in set(blocks) for one in identities(block)]
        command_id = await self._command(f"members.{operation}", item)
        self.patches[command_id] = Patch(operation, audience, frozenset(blocks))
        return command_id

    async def _advance(self) -> None:
        self.others.append(await self._advance_by(self.random.choice((6, 6, 12, 24))))

    async def _advance_by(self, hours: int) -> str:
        self.now_ms += hours * _HOUR_MS
        return await self._command("clock.advance", {"to": instant_text(self.now_ms)})

    async def _run(self) -> None:
        self.others.append(await self._command("audiences.run", {"audience": "slow"}))

    async def _compose(self) -> None:
        one, other = self.random.sample(["a", "b", "c"], 2)
        operator = self.random.choice(("and", "or"))
        expression = {operator: [{"audience": one}, {"not": {"audience": other}}]}
        self.others.append(await self._command("audiences.update", {"audience": "x", "expression": expression}))

    async def _decide(self) -> None:
        """About what is held."""
        for import_id in self._held():
            decision = self.random.choice(("approve", "reject"))
            self.decisions.append(await self._command(f"imports.{decision}", {"import": import_id}))

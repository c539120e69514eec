"""A user of one space who goes on whatever befalls the services: files, commands, days, runs. Remembers what was meant.

Identities come in blocks that are always named whole, so that the naive model can take a block for one identity while
files are large enough to be killed in the midst of.
"""

import asyncio
import gzip
from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from contracts.instants import DAY_MS, day_start_ms, instant_text
from contracts.messages.published import Reply
from services.tools.observed import TERMINAL
from tests.broker.announcing import aws, message
from tests.broker.space import Space
from tests.broker.system import DEADLINE_SECONDS, SECRET_REFERENCE

START: Final = "2026-01-01"
BLOCKS: Final = 12
BLOCK: Final = 400
LISTS: Final = ("a", "b", "c", "slow")
FEEDS: Final[dict[str, dict[str, Any]]] = {
    "full": {},
    "guarded": {"remove_share_max": 0.4},
    "incr": {"mode": "append", "lookback_days": 2},
    "gone": {"mode": "remove"},
}
_HOUR_MS: Final = 3_600_000
_MEMBERS: Final = ("add", "add", "add", "remove", "remove", "replace", "clear")

Content = Counter[tuple[int, str]]
"""How often a file names each (block, audience)."""


@dataclass(frozen=True)
class Patch:
    """What a members command says."""

    operation: str
    audience: str
    blocks: frozenset[int]


def identities(block: int) -> list[str]:
    return [f"u{number:06d}" for number in range(block * BLOCK, (block + 1) * BLOCK)]


def block_of(identity: str) -> int:
    return int(identity.removeprefix("u")) // BLOCK


@dataclass
class User:
    """`files` by key and `patches` by command id are what the outcome is held against."""

    random: Random
    space: Space
    hook: str
    files: dict[str, Content] = field(default_factory=dict)
    patches: dict[str, Patch] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)  # ids of further commands, all of which must be accepted
    decisions: list[str] = field(default_factory=list)  # ids of commands that may come too late
    now_ms: int = day_start_ms(START)

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
        await space.destination("receiver", self.hook, secrets={"signing": SECRET_REFERENCE})
        await space.send(
            "activations.create",
            {"id": "act", "name": "act", "audience": "delivered", "destination": "receiver", "perform_resync": True},
        )

    async def live(self, stopping: asyncio.Event) -> None:
        """One thing after the other, none of them awaited."""
        doings = ((8, self._upload), (2, self._announce_again), (8, self._patch), (3, self._advance),
                  (2, self._run), (2, self._compose), (3, self._decide))  # fmt: skip
        while not stopping.is_set():
            _, do = self.random.choices(doings, [weight for weight, _ in doings])[0]
            await do()
            await asyncio.sleep(self.random.expovariate(4))
            await self.space.glance()

    async def settle(self) -> None:
        """Returns when all that was asked for has been answered, and what became of it can be read."""
        for command_id in (*self.patches, *self.others):
            reply = await self._reply(command_id)
            assert reply.status == "accepted", reply
            assert not reply.errors, reply
        await self.space.until("every file has come to its end or is held", self._all_rest)
        while self._held():
            await self._decide()
            for command_id in self.decisions:
                await self._reply(command_id)
            self.decisions.clear()
            await self.space.catch_up()
            await self.space.until("every file has come to its end or is held", self._all_rest)
        last = await self._send_patch("add", "c", range(BLOCKS))  # on all partitions, behind everything else
        (item,) = (await self._reply(last)).data
        ended = await self.space.import_ended(str(item["import_id"]))
        assert ended.state == "applied", ended
        await self.space.catch_up()

    async def _reply(self, command_id: str) -> Reply:
        return await self.space.client.reply(command_id, timeout_seconds=DEADLINE_SECONDS)

    def _all_rest(self) -> bool:
        imports = self.space.observed.imports.values()
        heard_of = {one.object.key for one in imports if one.object is not None}
        rest = all(one.state in TERMINAL or (one.waits_for and self._held()) for one in imports)
        return rest and self.files.keys() <= heard_of

    def _held(self) -> list[str]:
        return [one.import_id for one in self.space.observed.imports.values() if one.state == "held"]

    async def _command(self, type_: str, item: dict[str, object]) -> str:
        return await self.space.client.publish(self.space.name, type_, {"items": [item]})

    async def _upload(self) -> None:
        feed = self.random.choice(list(FEEDS))
        named = [(block, name) for block in range(BLOCKS) for name in LISTS]
        content: Content = Counter(self.random.choices(named, k=self.random.choice((1, 5, 15, 30))))
        body = "".join(
            f"{one}^{name}\n" for (block, name), times in content.items() for _ in range(times) for one in identities(block)
        ).encode()  # fmt: skip
        zipped = self.random.random() < 0.5
        path = f"{feed}/{self._some_day()}{len(self.files)}.txt{'.gz' if zipped else ''}"
        self.files[self.space.prefix + path] = content
        await self.space.put(path, gzip.compress(body, 1) if zipped else body)

    def _some_day(self) -> str:
        day_ms = self.now_ms - self.random.choice((0, 0, 0, 1, 3)) * DAY_MS
        return f"{instant_text(day_ms)[:10]}/"

    async def _announce_again(self) -> None:
        if self.files:
            key = self.random.choice(list(self.files))
            await self.space.system.notify(message(aws(self.space.system.bucket, key)))

    async def _patch(self) -> None:
        operation = self.random.choice(_MEMBERS)
        blocks = range(0) if operation == "clear" else self.random.choices(range(BLOCKS), k=self.random.randint(1, 3))
        await self._send_patch(operation, self.random.choice(LISTS), blocks)

    async def _send_patch(self, operation: str, audience: str, blocks: Any) -> str:
        item: dict[str, object] = {"audience": audience}
        if operation != "clear":
            item["identifiers"] = [one for block in set(blocks) for one in identities(block)]
        command_id = await self._command(f"members.{operation}", item)
        self.patches[command_id] = Patch(operation, audience, frozenset(blocks))
        return command_id

    async def _advance(self) -> None:
        self.now_ms += self.random.choice((6, 6, 12, 24)) * _HOUR_MS
        self.others.append(await self._command("clock.advance", {"to": instant_text(self.now_ms)}))

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

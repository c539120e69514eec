"""Commands through the topics: written to the topic of commands, answered by a whole system's control.

As many as fit are written at once, so that control is never idle: commands or items a second, from the first write until
the last reply is read. Broker, sender and reader of replies share the cores with control, and with the services that
follow the catalogue.
"""

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import msgspec

from contracts import catalog
from contracts.records import Out, Record
from services.client import Client, Follower
from services.runtime.log import Producer
from services.tools.local_system import LocalSystem
from tests.benchmarks.measure import Measured, cpu_seconds_of, measured

RUNS: Final = 5
SINGLES: Final = 4_000
ACTIVATIONS: Final = 10_000
BULKS: Final = 8
ITEMS: Final = 5_000  # of a command
_AT_ONCE: Final = 500  # singles of one write
_WITHIN_SECONDS: Final = 300.0
_SPACE: Final = "bench-commands"
_DESTINATION: Final = {"name": "nowhere", "connector": "webhook", "settings": {"url": "https://example.com/"},
                       "enabled": False}  # fmt: skip
_QUOTAS: Final = {"audiences": 1_000_000, "commands_a_second": 1_000_000}

Item = dict[str, object]


class _Said(msgspec.Struct):
    status: str
    errors: list[object]


class _Replies:
    """How many there were; each must say that all took effect."""

    def __init__(self) -> None:
        self.count = 0
        self._decode = msgspec.json.Decoder(_Said).decode

    def sink(self, record: Record) -> None:
        said = self._decode(record.value or b"")
        assert said.status == "accepted", record.value
        assert not said.errors, said.errors[0]
        self.count += 1


async def through_topics(system: LocalSystem) -> list[Measured]:
    """Items by the thousands, of each kind of command, then updates of one; the first run is not counted."""
    client = await Client.open(system.log, source="/usher/bench")
    try:
        for type_, item in (("spaces.create", {"quotas": _QUOTAS}), ("destinations.create", _DESTINATION)):
            made = await client.call(_SPACE, type_, [item])
            assert not made.errors, made.errors
    finally:
        await client.close()
    replies = _Replies()
    follower = await Follower.open(system.log, [catalog.REPLIES], replies.sink, from_end=True)
    sender = _Sender(await system.log.producer(), follower, replies, {"control": system.pids["control"]})
    try:
        return [
            *await sender.measured("audiences.create", "items/s", [_creates(run) for run in range(RUNS + 1)]),
            *await sender.measured("audiences.update", "items/s", [_updates(run) for run in range(RUNS + 1)]),
            *await sender.measured("members.add", "items/s", [_members(run) for run in range(RUNS + 1)]),
            *await sender.measured("audiences.update", "commands/s", [_singles(run) for run in range(RUNS + 1)]),
            *await sender.measured("activations.create", "items/s", [_activations(run) for run in range(RUNS + 1)]),
        ]
    finally:
        await follower.close()


class _Sender:
    def __init__(self, producer: Producer, follower: Follower, replies: _Replies, pids: dict[str, int]) -> None:
        self._producer = producer
        self._follower = follower
        self._replies = replies
        self._pids = pids
        self._sent = 0

    async def measured(self, type_: str, unit: str, runs: Sequence[list[list[Item]]]) -> list[Measured]:
        """A run is the items of each of its commands."""
        rates: list[float] = []
        per_cpu: list[float] = []
        cpu: list[float] = []
        for commands in runs:
            before, began = cpu_seconds_of(self._pids), time.monotonic()
            await self._answered([self._command(type_, items) for items in commands])
            seconds, used = time.monotonic() - began, cpu_seconds_of(self._pids) - before
            count = sum(map(len, commands))
            rates.append(count / seconds)
            per_cpu.append(count / used)
            cpu.append(used)
        name = f"{type_}, {len(runs[0][0]):,} a command"
        return [
            measured("control", "topics", name, unit, rates[1:], cpu[1:]),
            measured("control", "topics", f"{name}, per CPU second of control", unit, per_cpu[1:], cpu[1:]),
        ]

    def _command(self, type_: str, items: list[Item]) -> Out:
        self._sent += 1
        event = {"specversion": "1.0", "id": f"c-{self._sent}", "source": "/bench", "type": type_, "spaceid": _SPACE}
        value = msgspec.json.encode({**event, "data": {"items": items}})
        return Out(catalog.COMMANDS, _SPACE.encode(), value)

    async def _answered(self, commands: list[Out]) -> None:
        wanted = self._replies.count + len(commands)
        at_once = _AT_ONCE if len(commands) > BULKS else 1
        async with asyncio.timeout(_WITHIN_SECONDS), asyncio.TaskGroup() as tasks:
            tasks.create_task(self._write(commands, at_once))
            while self._replies.count < wanted:
                await self._follower.pump(0.02)

    async def _write(self, commands: list[Out], at_once: int) -> None:
        for first in range(0, len(commands), at_once):
            await self._producer.send(commands[first : first + at_once])


def _creates(run: int) -> list[list[Item]]:
    return [[{"name": name, "id_type": "kuid"} for name in _names(run, bulk)] for bulk in range(BULKS)]


def _updates(run: int) -> list[list[Item]]:
    return [[{"audience": name, "description": f"of run {run}"} for name in _names(0, bulk)] for bulk in range(BULKS)]


def _members(run: int) -> list[list[Item]]:
    """A new one each, to as many audiences."""
    return [[{"audience": name, "identifiers": [f"{name} {run}"]} for name in _names(0, bulk)] for bulk in range(BULKS)]


def _activations(run: int) -> list[list[Item]]:
    """Each of an audience, all to one destination; ten thousand in the end, and those of the first run."""
    size = ACTIVATIONS // RUNS // 2
    names = _names(0, 0) + _names(0, 1) + _names(0, 2)
    items: list[Item] = [{"name": name, "audience": name, "destination": "nowhere"} for name in names]
    return [items[first : first + size] for first in range(2 * run * size, 2 * (run + 1) * size, size)]


def _singles(run: int) -> list[list[Item]]:
    return [[{"audience": name, "description": f"single of run {run}"}] for name in _names(0, 0)[:SINGLES]]


def _names(run: int, bulk: int) -> list[str]:
    first = (run * BULKS + bulk) * ITEMS
    return [f"audience {number}" for number in range(first, first + ITEMS)]

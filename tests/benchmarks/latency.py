"""How long a change takes under a steady load, from its cause to a read_committed reader.

`rows`: a thousand a second, first as patches on the input of a membership service (fold and transaction alone), then as
events on the topic of a feed (intake and membership). `imports`: fifty objects of one row a second, from the notification
through all services; the objects are in `announcing_store`, for moto, the S3 server of the stack, would have a quarter of
the machine. `webhook`: ten thousand changes a second, as ten objects a second of a thousand rows each, from the call of the
put to the receipt of each row by a webhook. Each instant is the one at which the load was meant to be sent: a sender that
falls behind counts as latency. Broker, store, sender and reader share the cores with usher.
"""

import asyncio
import statistics
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Protocol

import msgspec

from contracts import catalog
from contracts.partitioning import member_partition
from contracts.records import Out, Record
from services.adapters.connect import open_kafka
from services.client import Follower
from services.runtime.environment import load_settings
from services.tools.local_system import LocalSystem
from tests.benchmarks.announcing_store import BUCKET, AnnouncingStore, announcing_store
from tests.benchmarks.folding_service import PARTITIONS, Folding, folding_service
from tests.benchmarks.measure import Measured, cpu_seconds_of, measured
from tests.benchmarks.peer_events import make_topic
from tests.benchmarks.silent_receiver import Silent, silent
from tests.benchmarks.spaces import space_of

CASES: Final = ("rows", "imports", "webhook")
RUNS: Final = 5
WARMING_RUNS: Final = 10  # of the same load, not counted: the broker compiles itself for 40 s, on most of a core
RUN_SECONDS: Final = 4.0
ROWS_PER_SECOND: Final = 1_000
IMPORTS_PER_SECOND: Final = 50
OBJECT_ROWS: Final = 1_000
OBJECTS_PER_SECOND: Final = 10
_WITHIN_SECONDS: Final = 30.0

Send = Callable[[Sequence[str]], Awaitable[None]]
"""Writes these identifiers and returns when they are durable."""


class _Said(msgspec.Struct):
    members: list[str]


class _Seen:
    """When each of the identifiers that are `waited` for was first read in a change."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.waited: set[str] = set()
        self._decode = msgspec.json.Decoder(_Said).decode

    def sink(self, record: Record) -> None:
        now = time.monotonic()
        for identifier in self.waited.intersection(self._decode(record.value or b"").members):
            self.at[identifier] = now
            self.waited.remove(identifier)


async def latency(system: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """Medians over `RUNS` runs of each run's p50 and p99, after some that aren't counted."""
    found: list[Measured] = []
    if "rows" in cases:
        found += await _patches(system)
        found += await _events(system)
    if "imports" in cases:
        found += await _imports(system)
    if "webhook" in cases:
        found += await _webhook(system)
    return found


async def _patches(system: LocalSystem) -> list[Measured]:
    async with folding_service(system, "bench-latency", checkpoints=True) as service:
        pids = {service.name: service.pid}
        changes = _Changes(
            await Follower.open(service.log, [catalog.CHANGES], (seen := _Seen()).sink, from_end=True), seen
        )

        async def send(identifiers: Sequence[str]) -> None:
            await service.producer.send([_patch(service, identifier) for identifier in identifiers])

        return await _measure("rows", "patch", ROWS_PER_SECOND, send, changes, pids)


def _patch(service: Folding, identifier: str) -> Out:
    headers, value = service.input.patch(identifier)
    return Out(catalog.INPUT, b"bench", value, headers, member_partition(identifier, PARTITIONS))


async def _events(system: LocalSystem) -> list[Measured]:
    settings, topic = load_settings(), "latency-events"
    async with (
        open_kafka(settings, client_id="bench", prefix="") as log,
        space_of(system, "latency-rows", audiences=["all"]) as space,
    ):
        await make_topic(log, topic)
        producer = await log.producer()
        source = {"kind": "topic", "topic": topic}
        await space.create("feeds.create", {"name": "all", "source": source, "mode": "append", "id_type": "user_id"})
        changes = _Changes(
            await Follower.open(system.log, [catalog.CHANGES], (seen := _Seen()).sink, from_end=True), seen
        )

        async def send(identifiers: Sequence[str]) -> None:
            events = [b'{"id":"%s","audience":"all","op":"add"}' % one.encode() for one in identifiers]
            keys = [one.encode() for one in identifiers]
            await producer.send([Out(topic, key, event) for key, event in zip(keys, events, strict=True)])

        pids = {name: system.pids[name] for name in ("intake", "membership")}
        return await _measure("rows", "topic feed", ROWS_PER_SECOND, send, changes, pids)


async def _imports(system: LocalSystem) -> list[Measured]:
    async with (
        announcing_store(await system.log.producer()) as store,
        _intake_from(store, system),
        space_of(system, "latency-imports", audiences=["all"]) as space,
    ):
        await space.create("feeds.create", _feed("latency/", bucket=BUCKET))
        changes = _Changes(
            await Follower.open(system.log, [catalog.CHANGES], (seen := _Seen()).sink, from_end=True), seen
        )

        async def send(identifiers: Sequence[str]) -> None:
            await store.put({f"latency/{one}.txt": f"{one}^all\n".encode() for one in identifiers})

        pids = {name: system.pids[name] for name in ("intake", "control", "membership")}
        return await _measure("imports", "one-row import", IMPORTS_PER_SECOND, send, changes, pids)


@asynccontextmanager
async def _intake_from(store: AnnouncingStore, system: LocalSystem) -> AsyncIterator[None]:
    """Has the system's intake read from the store instead of the stack's S3 server, until the context is left."""

    async def restart(environment: Mapping[str, str]) -> None:
        await system.children.stop("intake")
        system.pids["intake"] = await system.children.start("intake", "services.intake", [], environment)

    await restart({"USHER_S3_ENDPOINT_URL": store.url, "USHER_RECONCILE_SECONDS": "0"})
    try:
        yield
    finally:
        await restart({})


async def _webhook(system: LocalSystem) -> list[Measured]:
    async with silent() as server, space_of(system, "latency-webhook", audiences=["all"]) as space:
        await space.create("feeds.create", _feed("webhook/"))
        settings = {"url": f"{server.url}/hook"}
        await space.create("destinations.create", {"name": "hook", "connector": "webhook", "settings": settings})
        await space.create("activations.create", {"name": "hook", "audience": "all", "destination": "hook"})

        async def put(identifiers: Sequence[str]) -> None:
            body = "".join(f"{one}^all\n" for one in identifiers).encode()
            await system.objects.write(system.bucket, f"webhook/{identifiers[0]}.txt", body, content_type="text/plain")

        async def send(identifiers: Sequence[str]) -> None:
            objects = [identifiers[start : start + OBJECT_ROWS] for start in range(0, len(identifiers), OBJECT_ROWS)]
            await asyncio.gather(*map(put, objects))

        pids = {name: system.pids[name] for name in ("intake", "control", "membership", "activation")}
        per_second = OBJECTS_PER_SECOND * OBJECT_ROWS
        return await _measure(
            "webhook", "row to webhook", per_second, send, _Receipts(server), pids, at_once=OBJECT_ROWS
        )


def _feed(prefix: str, **source: str) -> dict[str, Any]:
    return {
        "name": "all",
        "mode": "append",
        "lookback_days": 30,
        "id_type": "user_id",
        "format": "caret",
        "source": {"kind": "s3", "prefix": prefix, **source},
    }


class _Ends(Protocol):
    """Where what was sent arrives."""

    async def until(self, identifiers: set[str]) -> Mapping[str, float]:
        """When each of them was first seen there, once all of them were."""
        ...

    async def close(self) -> None: ...


class _Receipts:
    """The members that a webhook was told of."""

    def __init__(self, server: Silent) -> None:
        self._server = server

    async def until(self, identifiers: set[str]) -> Mapping[str, float]:
        seen = self._server.seen
        before = len(seen)  # of earlier runs, all of whose members have come
        await self._server.until(lambda: len(seen) >= before + len(identifiers), RUN_SECONDS + _WITHIN_SECONDS)
        return {identifier: min(seen[identifier].values()) for identifier in identifiers}

    async def close(self) -> None: ...


class _Changes:
    """Reads changes for as long as it is awaited."""

    def __init__(self, follower: Follower, seen: _Seen) -> None:
        self.seen = seen
        self._follower = follower

    async def until(self, identifiers: set[str]) -> Mapping[str, float]:
        self.seen.waited |= identifiers
        async with asyncio.timeout(RUN_SECONDS + _WITHIN_SECONDS):
            while self.seen.waited:
                await self._follower.pump(0.1)
        return self.seen.at

    async def close(self) -> None:
        await self._follower.close()


async def _measure(  # noqa: PLR0917 - what is measured, then with what
    case: str, what: str, per_second: int, send: Send, ends: _Ends, pids: dict[str, int], *, at_once: int = 1
) -> list[Measured]:
    median: list[float] = []
    tail: list[float] = []
    cpu: list[float] = []
    try:
        for run in range(WARMING_RUNS + RUNS):
            before = cpu_seconds_of(pids)
            milliseconds = await _run(per_second, send, ends, at_once)
            if run >= WARMING_RUNS:
                median.append(statistics.median(milliseconds))
                tail.append(statistics.quantiles(milliseconds, n=100)[98])
                cpu.append(cpu_seconds_of(pids) - before)
    finally:
        await ends.close()
    return [
        measured("latency", case, f"{what}, p50", "ms", median, cpu, better="lower"),
        measured("latency", case, f"{what}, p99", "ms", tail, cpu, better="lower"),
    ]


async def _run(per_second: int, send: Send, ends: _Ends, at_once: int) -> list[float]:
    """Milliseconds of each; `at_once` of them are due together."""
    count = int(per_second * RUN_SECONDS)
    identifiers = [str(uuid.uuid4()) for _ in range(count)]
    began = time.monotonic() + 0.05
    meant = {
        identifier: began + (number - number % at_once) / per_second for number, identifier in enumerate(identifiers)
    }
    reading = asyncio.create_task(ends.until(set(identifiers)))
    try:
        await _sent(meant, send)
        at = await reading
    finally:
        reading.cancel()
    return [(at[identifier] - due) * 1000 for identifier, due in meant.items()]


async def _sent(meant: dict[str, float], send: Send) -> None:
    """Sends what is due, at once with what became due while the last was being sent."""
    waiting = deque(meant.items())
    while waiting:
        now = time.monotonic()
        due: list[str] = []
        while waiting and waiting[0][1] <= now:
            due.append(waiting.popleft()[0])
        if due:
            await send(due)
        else:
            await asyncio.sleep(waiting[0][1] - now)

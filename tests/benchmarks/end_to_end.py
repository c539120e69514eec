"""From an object in the bucket to the applied import and to the webhook: all services and the broker on this machine.

The broker, the S3 server and the receiver share the cores with usher: these are figures of the whole, not of a core.
"""

import asyncio
import gzip
import time
import uuid
from collections.abc import Awaitable, Callable, Collection
from random import Random
from typing import Any, Final

from contracts import catalog
from services.client import Client, Follower
from services.tools.local_system import LocalSystem
from services.tools.observed import Observed
from tests.benchmarks.full_refresh import ten_million
from tests.benchmarks.measure import Measured, cpu_seconds_of, measured

ROWS: Final = 1_000_000
RUNS: Final = 5
WITHIN_SECONDS: Final = 300.0
SEED: Final = 20261123
SPACE: Final = "bench"
CASES: Final = ("import new", "import same", "webhook", "10m")


class _Bench:
    """One space with a feed and an audience for each case, and what the public topics say about it."""

    def __init__(self, system: LocalSystem, client: Client) -> None:
        self.system = system
        self.client = client
        self.observed = Observed(SPACE, keep_members=False)
        self.follower: Follower
        self._random = Random(SEED)
        self._uploads = 0

    async def prepare(self) -> None:
        """The space, with one audience for imports alone and one that is delivered."""
        topics = [catalog.CATALOGUE, catalog.IMPORTS, catalog.ACTIVATIONS]
        self.follower = await Follower.open(self.system.log, topics, self.observed.sink, from_end=False)
        await self._call("spaces.create", {"name": SPACE})
        for name in ("quiet", "delivered"):
            await self._call("audiences.create", {"name": name, "kind": "list", "id_type": "user_id"})
            source = {"kind": "s3", "prefix": f"{SPACE}/{name}/"}
            await self._call(
                "feeds.create",
                {"name": name, "source": source, "mode": "replace", "id_type": "user_id", "format": "caret"},
            )
        to = self.system.deliver_to
        await self._call(
            "destinations.create",
            {
                "name": "receiver",
                "connector": "webhook",
                "settings": {"url": to.url},
                "secrets": {"signing": to.secret},
            },
        )
        await self._call("activations.create", {"name": "all", "audience": "delivered", "destination": "receiver"})

    async def _call(self, type_: str, item: dict[str, Any]) -> None:
        reply = await self.client.call(SPACE, type_, [item])
        assert not reply.errors, reply.errors

    def rows(self, audience: str) -> bytes:
        """A gzip file of `ROWS` new UUIDs, caret form; the same for the same seed."""
        bits = self._random.getrandbits
        lines = "".join(f"{uuid.UUID(int=bits(128), version=4)}^{audience}\n" for _ in range(ROWS))
        return gzip.compress(lines.encode(), compresslevel=1, mtime=0)

    async def upload(self, name: str, body: bytes) -> float:
        """Puts the file, returns the seconds from then until its import is applied."""
        self._uploads += 1
        key = f"{SPACE}/{name}/{self._uploads}.gz"
        began = time.monotonic()
        await self.system.objects.write(self.system.bucket, key, body, content_type="application/gzip")
        await self._until(lambda: (one := self.observed.import_of(key)) is not None and one.state == "applied")
        return time.monotonic() - began

    async def delivered(self, changes: int) -> None:
        """Returns when control has counted so many members as delivered."""
        await self._until(lambda: any(s.counters.delivered >= changes for s in self.observed.activations.values()))

    async def _until(self, true: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_SECONDS):
            while not true():
                await self.follower.pump(0.02)


async def end_to_end(system: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """`import new`, `import same` and `webhook`, `RUNS` runs each after one that isn't counted; `10m` as it says."""
    found: list[Measured] = []
    if not {"import new", "import same", "webhook"}.isdisjoint(cases):
        found = [one for one in await _of_a_million(system) if one.case in cases]
    if "10m" in cases:
        found += await ten_million(system)
    return found


async def _of_a_million(system: LocalSystem) -> list[Measured]:
    client = await Client.open(system.log, source="/usher/bench")
    bench = _Bench(system, client)
    try:
        await bench.prepare()
        return [
            await _case(system, "import new", "rows", _new(bench)),
            await _case(system, "import same", "rows", await _same(bench)),
            await _case(system, "webhook", "changes", _webhook(bench), per_run=2 * ROWS),
        ]
    finally:
        await bench.follower.close()
        await client.close()


async def _case(
    system: LocalSystem, case: str, counted: str, run: Callable[[], Awaitable[float]], *, per_run: int = ROWS
) -> Measured:
    rates: list[float] = []
    cpu: list[float] = []
    await run()
    for _ in range(RUNS):
        before = cpu_seconds_of(system.pids)
        rates.append(per_run / await run())
        cpu.append(cpu_seconds_of(system.pids) - before)
    return measured("end-to-end", case, f"{counted} per second", f"{counted}/s", rates, cpu)


def _new(bench: _Bench) -> Callable[[], Awaitable[float]]:
    """Each run replaces the audience by identities that were never seen: as many enter as exit."""

    async def run() -> float:
        body = await asyncio.to_thread(bench.rows, "quiet")
        return await bench.upload("quiet", body)

    return run


async def _same(bench: _Bench) -> Callable[[], Awaitable[float]]:
    """Each run puts the same million again: nobody enters, nobody exits."""
    body = await asyncio.to_thread(bench.rows, "quiet")

    async def run() -> float:
        return await bench.upload("quiet", body)

    return run


def _webhook(bench: _Bench) -> Callable[[], Awaitable[float]]:
    """From the put to the last change at the receiver and counted: a million enter, a million exit (but for the first)."""
    told = 0

    async def run() -> float:
        nonlocal told
        body = await asyncio.to_thread(bench.rows, "delivered")
        told += ROWS if told == 0 else 2 * ROWS
        began = time.monotonic()
        await bench.upload("delivered", body)
        await bench.delivered(told)
        return time.monotonic() - began

    return run

"""What the lanes of activation and the router before them do, and what dead destinations cost the others.

`router`: changes to deliveries, no broker. `batches` and `singly`: a lane with the web's own client against a local HTTP
server in another process, no broker. All three in members or requests a CPU second of this process. `dead`: a whole
system with a thousand destinations, of which a hundred then hang or refuse: how long the others wait, and what RSS the
one worker of activation has had at its most.
"""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from contracts import catalog
from contracts.messages.entities import Destination
from contracts.records import Out, Record, TopicPartition
from deploy.local.processes import free_port
from services.activation.lane import Lane
from services.activation.lane_ports import LanePorts
from services.activation.rates import Rates
from services.activation.reports import Reports
from services.activation.secret_store import SecretStore
from services.activation.tokens import Tokens
from services.adapters.http import HttpWeb
from services.adapters.memory import MemoryBroker
from services.adapters.outlets import OpenOutlets
from services.domain.delivery.router import RouterPartition
from services.runtime.backoff import SYSTEM_RANDOM
from services.runtime.clock import SystemClock
from services.runtime.secret_references import SecretReferences
from services.tools.local_system import LocalSystem
from tests.benchmarks.measure import Measured, cpu_seconds_of, measured, peak_rss_bytes_of
from tests.benchmarks.silent_receiver import Silent, silent
from tests.benchmarks.spaces import Space, space_of
from tests.unit.activation.lane_bench import FixedCatalogue, KeepingProducer
from tests.unit.domain.delivery.making import change, delivery, destination, marker, queued

CASES: Final = ("router", "batches", "singly", "dead")
RUNS: Final = 5
MEMBERS: Final = 100_000
LANES: Final = 8
REQUESTS: Final = 4_000
DESTINATIONS: Final = 1_000
DEAD: Final = 100
CHANGES: Final = 12
WARMING_CHANGES: Final = 4
WARMING_MEMBERS: Final = 800  # of four partitions: 2 KiB for each record of a queue
_WITHIN_SECONDS: Final = 240.0


async def lanes(system: LocalSystem, cases: Collection[str]) -> list[Measured]:
    """`RUNS` runs of each case after one that isn't counted; of `dead` one with all alive, and one with some dead."""
    found: list[Measured] = []
    if "router" in cases:
        found.append(_router())
    for case, per_request in (("batches", 1_000), ("singly", 1)):
        if case in cases:
            found.append(await _lanes(system, case, per_request))
    if "dead" in cases:
        found += await _dead(system)
    return found


def _router() -> Measured:
    log: list[Record] = [marker(0, "started")]
    log += [change(n + 1, "entered", [f"u{n * 1000 + k:012}" for k in range(1000)]) for n in range(MEMBERS // 1000)]

    def run() -> float:
        router = RouterPartition(0, running=(), queue_partitions=2, outcome_partitions=2, refuse=_never)
        began = time.process_time()
        routed = sum(1 for _ in router.handle(log, 0))
        assert routed > MEMBERS // 1000
        return time.process_time() - began

    seconds = [run() for _ in range(RUNS + 1)][1:]
    return measured("lanes", "router", "routed", "members/s", [MEMBERS / one for one in seconds], seconds)


def _never(record: Record, detail: str) -> Out:
    raise AssertionError(detail)


async def _lanes(system: LocalSystem, case: str, per_request: int) -> Measured:
    """Eight lanes side by side: one alone would wait for the server most of the time."""
    port = free_port()
    await system.children.start("silent", "tests.benchmarks.silent_receiver", [str(port)], {})
    await _listens(port)
    to = destination(url=f"http://127.0.0.1:{port}/hook", limits={"items_per_request": per_request})
    each = MEMBERS // LANES if per_request > 1 else REQUESTS // LANES
    count, unit = (each * LANES, "members/s") if per_request > 1 else (each * LANES // per_request, "requests/s")
    rates, seconds = [], []
    async with _ports(to) as ports:
        for run in range(RUNS + 1):
            before = time.process_time()
            await asyncio.gather(*(_one(ports, lane, each, min(each, 1_000)) for lane in range(LANES)))
            if run:
                seconds.append(time.process_time() - before)
                rates.append(count / seconds[-1])
    await system.children.stop("silent")
    return measured("lanes", case, "webhook", unit, rates, seconds)


async def _listens(port: int) -> None:
    async with asyncio.timeout(_WITHIN_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.05)
            else:
                return writer.close()


async def _one(ports: LanePorts, number: int, members: int, of_each: int) -> None:
    said = [
        delivery(n, "add", [f"u{number:02}{start + k:010}" for k in range(of_each)])
        for n, start in enumerate(range(0, members, of_each))
    ]
    lane = Lane(TopicPartition(catalog.queue_topic("q1"), number), ports)
    await lane.deliver([queued(one.sequence, one, partition=number) for one in said])


@asynccontextmanager
async def _ports(to: Destination) -> AsyncIterator[LanePorts]:
    clock = SystemClock()
    web, outlets = HttpWeb(allow_private=True), OpenOutlets(clock=clock, allow_private=True)
    secrets = SecretStore({}, SecretReferences(), clock=clock)
    try:
        yield LanePorts(
            web=web,
            outlets=outlets,
            reports=Reports(KeepingProducer(), clock=clock, random=SYSTEM_RANDOM),
            catalogue=FixedCatalogue(to),
            secrets=secrets,
            tokens=Tokens(web, clock=clock),
            rates=Rates(1, secrets.credential),
            clock=clock,
            queue_reader=MemoryBroker(clock=clock).connect("bench").reader,
            change_partitions=1,
            outcome_partitions=2,
            record_age_seconds_max=1e9,
        )
    finally:
        await web.close()
        await outlets.close()


async def _dead(system: LocalSystem) -> list[Measured]:
    async with silent() as server, space_of(system, "lanes-dead", audiences=["all"]) as space:
        await _thousand(space, server)
        pids = {"activation": system.pids["activation"]}
        began = cpu_seconds_of(pids)
        alive = await _waits(space, server, "alive")
        between = cpu_seconds_of(pids)
        server.dead = {f"/{n}" for n in range(DEAD)}
        beside = await _waits(space, server, "beside")
        spent = [between - began, cpu_seconds_of(pids) - between]
        rss = peak_rss_bytes_of(pids)
    p50, p99 = ([statistics.quantiles(one, n=100)[of - 1] for one in (alive, beside)] for of in (50, 99))
    figures: Sequence[tuple[str, str, float, float]] = (
        ("p50 of 900, all alive", "ms", p50[0], spent[0]),
        ("p50 of 900 beside 100 dead", "ms", p50[1], spent[1]),
        ("p99 of 900, all alive", "ms", p99[0], spent[0]),
        ("p99 of 900 beside 100 dead", "ms", p99[1], spent[1]),
        ("p99 beside 100 dead, of that with all alive", "%", 100 * p99[1] / p99[0], sum(spent)),
        ("RSS of activation at most", "bytes", rss, sum(spent)),
    )
    return [measured("lanes", "dead", what, unit, [value], [cpu], better="lower") for what, unit, value, cpu in figures]


async def _thousand(space: Space, server: Silent) -> None:
    """Destinations and activations of one audience, all lanes running, and an index entry in each queue's partitions.

    The broker writes the first one when a partition has 4 KiB: a page of a sparse file, up to 20 ms on the disk of a
    virtual machine. Queues of one audience come to it in the same transaction, whose markers then take half a minute.
    """
    names = [f"{n:04}" for n in range(DESTINATIONS)]
    await _all(space, "destinations.create", [
        {"name": name, "connector": "webhook", "settings": {"url": f"{server.url}/{int(name)}", "timeout_seconds": 5.0}}
        for name in names
    ])  # fmt: skip
    await _all(space, "activations.create", [{"name": name, "audience": "all", "destination": name} for name in names])
    for n in range(WARMING_CHANGES):
        identifiers = [f"warm{n}.{k}" for k in range(WARMING_MEMBERS)]
        await space.client.call(space.name, "members.add", [{"audience": "all", "identifiers": identifiers}])
        for some in (identifiers[0], identifiers[-1]):
            await server.until(lambda some=some: len(server.seen[some]) == DESTINATIONS, _WITHIN_SECONDS)  # type: ignore[misc]  # bound at once
    for n in range(WARMING_CHANGES * WARMING_MEMBERS):
        del server.seen[f"warm{n // WARMING_MEMBERS}.{n % WARMING_MEMBERS}"]


async def _all(space: Space, type_: str, items: list[dict[str, Any]]) -> None:
    for start in range(0, len(items), 100):
        reply = await space.client.call(space.name, type_, items[start : start + 100], timeout_seconds=120.0)
        assert not reply.errors, reply.errors[:3]


async def _waits(space: Space, server: Silent, named: str) -> list[float]:
    """Milliseconds from a command to each of those who stay alive, of one member after the other."""
    found: list[float] = []
    alive = {f"/{n}" for n in range(DEAD, DESTINATIONS)}
    for n in range(CHANGES + 2):
        member = f"{named}{n}"
        began = time.monotonic()
        await space.client.publish(space.name, "members.add", {"items": [{"audience": "all", "identifiers": [member]}]})
        await server.until(lambda member=member: alive <= server.seen[member].keys(), _WITHIN_SECONDS)  # type: ignore[misc]  # bound at once
        if n >= 2:
            found += [(at - began) * 1000 for path, at in server.seen[member].items() if path in alive]
    return found

"""One simulation: usher from its first topic to a graceful stop, all of it a function of one seed."""

import asyncio
import logging
import random as machine_random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Final

import structlog

from contracts import catalog, codec
from contracts.instants import parse_instant
from contracts.messages.published import Import
from contracts.records import Record, TopicPartition
from services.adapters.memory import MemoryBroker
from services.client import Follower
from services.intake.app import STREAM_GROUP
from services.runtime.log import Log
from services.runtime.settings import Settings
from services.tools.observed import TERMINAL
from tests.simulation.loop import VirtualClock, VirtualLoop
from tests.simulation.nemesis import Faulty, Nemesis, Weather, explained
from tests.simulation.receiver import Receiver
from tests.simulation.services import Ports
from tests.simulation.sources import STREAM_FEED
from tests.simulation.store import Queue, Store
from tests.simulation.user import BUCKET, User

START: Final = "2026-01-09T23:59:30Z"  # so that a day ends in the middle
QUEUE_URL: Final = "https://queue.example/drops"
DRAIN_SECONDS_MAX: Final = 1_200.0
SETTINGS: Final = Settings.model_validate(
    {
        "kafka_bootstrap_servers": "nowhere:1",
        "topic_partitions_control": 2,
        "topic_partitions_membership": 3,
        "topic_partitions_intake": 2,
        "topic_partitions_deliveries": 2,
        "s3_bucket": BUCKET,
        "state_url": "s3://state",
        "checkpoint_input_bytes": 2_000,  # a few steps: most restarts begin with one
        "checkpoint_seconds": 5.0,
        "delivery_budget_seconds": 20.0,
        "delivery_probe_seconds": 10.0,
        "reconcile_seconds": 15.0,
        "reconcile_grace_seconds": 5.0,
    }
)
GROUPS: Final = {
    "control": (catalog.COMMANDS, catalog.INTAKE_EVENTS, catalog.RESULTS, catalog.OUTCOMES),
    "intake-watch": (catalog.OBJECTS,),
    "intake-read": (catalog.INTAKE_REQUESTS,),
    "membership": (catalog.INPUT,),
    "activation-router": (catalog.CHANGES,),
    "activation-verifier": (catalog.VERIFICATIONS,),
}
LANES: Final = "activation-lanes"


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How long users live and whether anything goes wrong meanwhile."""

    seconds: float = 40.0
    faults: bool = True


@dataclass
class Finished:
    """What a simulation leaves behind. `topics` are all records that a read_committed consumer sees."""

    seed: int
    user: User
    receiver: Receiver
    topics: dict[str, list[Record]] = field(default_factory=dict)
    told: Sequence[str] = ()
    seconds: float = 0.0


class NotDrained(AssertionError):  # noqa: N818 - it says what usher is
    """Faults have ceased, and usher does not come to rest."""


def simulate(seed: int, plan: Plan | None = None) -> Finished:
    """Runs one to its end; raises `NotDrained`, and whatever a process crashed with."""
    threads = Random(f"{seed}/threads")
    with (
        _seeded(seed),
        _silence(),
        asyncio.Runner(loop_factory=lambda: VirtualLoop(lambda: threads.choice((0.0, 0.001, 0.05)))) as runner,
    ):
        return runner.run(_Simulation(seed, plan or Plan()).run())


class _Simulation:
    def __init__(self, seed: int, plan: Plan) -> None:
        self._seed = seed
        self._plan = plan

    async def run(self) -> Finished:
        clock = VirtualClock(parse_instant(START) or 0)
        weather = Weather(self._random("weather"))
        broker = MemoryBroker(clock=clock, faults=weather)
        log = broker.connect("outside")
        store, queue = Store(self._random("store"), clock), Queue(self._random("queue"), clock)
        receiver = Receiver(self._random("receiver"), clock)
        user = User(self._random("user"), clock, log, store, queue)
        ports = Ports(broker, clock, SETTINGS, store, {QUEUE_URL: queue}, receiver)
        nemesis = Nemesis(self._random("nemesis"), clock, ports, Faulty(weather, store, queue, receiver))
        await _make_topics(log)
        nemesis.start_all()
        try:
            async with _following(log) as steps:
                await self._live(nemesis, user, await _Drain.open(log, user, queue))
        except BaseException as error:
            error.add_note("\n".join(nemesis.told))
            raise
        return Finished(
            seed=self._seed,
            user=user,
            receiver=receiver,
            topics=await _all_records(log) | {catalog.INPUT: _in_order(steps)},
            told=nemesis.told,
            seconds=clock.monotonic_seconds(),
        )

    async def _live(self, nemesis: Nemesis, user: User, drain: "_Drain") -> None:
        await user.set_up()
        await drain.finish()
        doings = [user.live(self._plan.seconds)]
        if self._plan.faults:
            doings.append(nemesis.rage(self._plan.seconds))
        await asyncio.gather(*doings)
        await nemesis.relent()
        await drain.finish()
        await nemesis.stop_all()
        assert not nemesis.crashed, [explained(error) for error in nemesis.crashed]

    def _random(self, purpose: str) -> Random:
        return Random(f"{self._seed}/{purpose}")


async def _make_topics(log: Log) -> None:
    for name, page in catalog.topic_pages().items():
        if name != catalog.DELIVERIES:
            await log.ensure_topic(catalog.topic_spec(name, SETTINGS.partitions(page.partitions)))


class _Drain:
    """Waits until nothing is left to do: every record read, every command answered, every import ended."""

    _follower: Follower

    def __init__(self, log: Log, user: User, queue: Queue) -> None:
        self._log = log
        self._user = user
        self._queue = queue
        self._answered: set[str] = set()

    @classmethod
    async def open(cls, log: Log, user: User, queue: Queue) -> "_Drain":
        drain = cls(log, user, queue)
        topics = (catalog.REPLIES, catalog.IMPORTS)
        drain._follower = await Follower.open(log, topics, drain._sink, from_end=False)
        return drain

    async def finish(self) -> None:
        """Raises `NotDrained`."""
        left = await self._left()
        try:
            async with asyncio.timeout(DRAIN_SECONDS_MAX):
                while left:
                    await asyncio.sleep(1.0)
                    await self._user.unblock()
                    left = await self._left()
        except TimeoutError:
            raise NotDrained(f"still to be done: {'; '.join(left)}") from None

    def _sink(self, record: Record) -> None:
        if record.topic == catalog.REPLIES:
            self._answered.add(codec.header(record.headers, "ce_correlationid") or "")
        elif record.value is not None:
            one = codec.decode(record.value, Import)
            self._user.imports[one.import_id] = one

    async def _left(self) -> list[str]:
        await self._follower.catch_up()
        left = [
            f"command {one.id} ({one.type})"
            for one in self._user.commands
            if one.readable and one.id not in self._answered
        ]
        left += [f"{one.import_id} is {one.state}" for one in self._user.imports.values() if one.state not in TERMINAL]
        left += [f"nobody has found {key}" for key in self._user.unheard()]
        if self._queue.undone:
            left.append(f"{self._queue.undone} notifications")
        queues = [name for name in await self._log.topics() if name.startswith("deliveries.")]
        streams = [
            (f"{SETTINGS.topic_prefix}.{STREAM_GROUP}.{one.space}.{STREAM_FEED}", [one.topic])
            for one in self._user.sources.values()
        ]
        for group, topics in (*GROUPS.items(), (LANES, queues), *streams):
            left += [f"{group} is behind on {place}" for place in await self._behind(group, topics)]
        return left

    async def _behind(self, group: str, topics: Sequence[str]) -> list[str]:
        places = [TopicPartition(topic, n) for topic in topics for n in range(await self._log.partitions(topic))]
        committed = await self._log.committed(group, places)
        found = []
        for place in places:
            reader = await self._log.reader([place])
            reader.seek(place, committed.get(place, 0))
            if await reader.read(timeout_seconds=0.0, records_max=1):
                found.append(f"{place.topic}/{place.partition}")
        return found


@asynccontextmanager
async def _following(log: Log) -> AsyncIterator[list[Record]]:
    """The input of membership, all of it when the block is left: behind checkpoints the log goes."""
    found: list[Record] = []
    follower = await Follower.open(log, [catalog.INPUT], found.append, from_end=False)
    over = asyncio.Event()

    async def follow() -> None:
        while not over.is_set():
            await follower.pump(1.0)

    following = asyncio.ensure_future(follow())
    try:
        yield found
    finally:
        over.set()
        await following
        await follower.close()


async def _all_records(log: Log) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = {}
    for topic in await log.topics():
        places = [TopicPartition(topic, number) for number in range(await log.partitions(topic))]
        reader = await log.reader(places)
        records: list[Record] = []
        while more := await reader.read(timeout_seconds=0.0):
            records += more
        found[topic] = _in_order(records)
    return found


def _in_order(records: Sequence[Record]) -> list[Record]:
    return sorted(records, key=lambda record: (record.partition, record.offset))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Whoever takes the machine's generator because it was given none."""
    before = machine_random.getstate()
    machine_random.seed(f"{seed}/machine")
    try:
        yield
    finally:
        machine_random.setstate(before)


@contextmanager
def _silence() -> Iterator[None]:
    """What services tell their operators is not read here, and a hundred simulations tell a lot."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        structlog.configure(**before)
        logging.getLogger("asyncio").setLevel(logging.NOTSET)

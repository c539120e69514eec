"""What befalls the processes, the broker, the store and the receiver, by seed; and how all of it ends."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from contracts import catalog
from services.adapters.memory import Act, Faults, MemoryBroker
from services.runtime.clock import Clock
from services.runtime.failures import Fatal, Unavailable
from tests.simulation.receiver import Receiver
from tests.simulation.services import SERVICES, Ports, Running, Service
from tests.simulation.store import Queue, Store

SESSION_SECONDS: Final = 6.0
COMPACTED: Final = tuple(name for name, page in catalog.topic_pages().items() if page.cleanup == "compact")


class Weather(Faults):
    """Failing and slow requests of the services' processes. `share` of them fail, before or after their effect."""

    def __init__(self, random: Random) -> None:
        self.share = 0.0
        self.delay_seconds_max = 0.01
        self.stormy: str | None = None  # the process whose requests fail half the time
        self._random = random

    def before(self, client: str, act: Act) -> None:
        self._maybe_fail(client, act)

    def after(self, client: str, act: Act) -> None:
        self._maybe_fail(client, act)

    def delay_seconds(self, client: str, act: Act) -> float:
        return self._random.uniform(0, self.delay_seconds_max)

    def _maybe_fail(self, client: str, act: Act) -> None:
        if client.partition("-")[0] in SERVICES:
            share = 0.5 if client == self.stormy else self.share
            if self._random.random() < share:
                raise Unavailable(f"{act} of {client}")


@dataclass(frozen=True)
class Faulty:
    """Everything that can fail by share."""

    weather: Weather
    store: Store
    queue: Queue
    receiver: Receiver

    def calm(self) -> None:
        self.weather.share = self.store.share = self.queue.share = self.receiver.share = 0.0
        self.weather.stormy = None
        self.weather.delay_seconds_max = 0.01

    def rough(self, random: Random) -> None:
        self.weather.share = random.choice((0.0, 0.005, 0.03))
        self.weather.delay_seconds_max = random.choice((0.01, 0.05, 0.2))
        self.store.share = random.choice((0.0, 0.02, 0.1))
        self.queue.share = random.choice((0.0, 0.05, 0.2))
        self.receiver.share = random.choice((0.0, 0.1, 0.4))


class Nemesis:
    """Owns the processes of all services."""

    def __init__(self, random: Random, clock: Clock, ports: Ports, faulty: Faulty) -> None:
        self.told: list[str] = []  # what befell whom, for whoever reads a failure
        self.crashed: list[BaseException] = []
        self._random = random
        self._clock = clock
        self._ports = ports
        self._faulty = faulty
        self._broker: MemoryBroker = ports.broker
        self._running: dict[str, Running] = {}
        self._static = random.random() < 0.5
        self._under_way: set[asyncio.Task[None]] = set()

    def start_all(self) -> None:
        """At least one process of each service."""
        for service in SERVICES:
            for number in range(1, self._random.choice((1, 1, 2)) + 1):
                self._start(service, f"{service}-{number}")

    async def rage(self, until_seconds: float) -> None:
        """One thing after the other, some of them at once."""
        acts: Sequence[tuple[int, Callable[[], Awaitable[None]]]] = (
            (8, self._kill),
            (6, self._freeze),
            (3, self._restart),
            (3, self._another),
            (5, self._storm),
            (2, self._outage),
            (1, self._compact),
            (6, self._time_out),
        )
        weights = [weight for weight, _ in acts]
        self._faulty.rough(self._random)
        while True:
            await self._clock.sleep(self._random.expovariate(1 / 2.5))
            if self._clock.monotonic_seconds() >= until_seconds:
                return
            act = self._random.choices(acts, weights)[0][1]
            task = asyncio.ensure_future(act())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def relent(self) -> None:
        """What is under way ends as it must, faults cease, and every service runs."""
        while self._under_way:
            await asyncio.wait(self._under_way)
        self._faulty.calm()
        for service in SERVICES:
            if not any(one.service == service for one in self._running.values()):
                self._start(service, f"{service}-1")

    async def stop_all(self) -> None:
        """Asks all to stop, and waits until they have."""
        for one in self._running.values():
            one.stop()
        await asyncio.wait([one.task for one in self._running.values()])

    @property
    def running(self) -> Sequence[Running]:
        return list(self._running.values())

    def _tell(self, what: str) -> None:
        self.told.append(f"{self._clock.monotonic_seconds():8.2f} {what}")

    def _start(self, service: Service, name: str) -> None:
        self._tell(f"start {name}")
        running = Running(service, name, self._ports, static=self._static)
        self._running[name] = running
        running.task.add_done_callback(lambda task: self._ended(running, task))

    def _ended(self, running: Running, task: "asyncio.Task[None]") -> None:
        left = [one for one in running.process.tasks if one is not task]
        if left and not running.process.dead:
            self._tell(f"{running.name} left behind {left}")
            self.crashed.append(AssertionError(f"{running.name} left behind {left}"))
        error = None if task.cancelled() else task.exception()
        if error is not None and not running.process.dead:
            self._tell(f"crash {running.name}: {error!r}")
            self.crashed.append(error)

    def _someone(self) -> Running | None:
        free = [one for one in self._running.values() if not one.process.frozen and not one.task.done()]
        return self._random.choice(free) if free else None

    async def _kill(self) -> None:
        """A SIGKILL; the broker notices when the session has passed, and somebody starts it again sooner or later."""
        if (one := self._someone()) is None:
            return
        self._tell(f"kill {one.name}")
        del self._running[one.name]
        self._broker.kill(one.name)
        await one.process.kill()
        back_seconds = self._random.choice((0.1, 2.0, SESSION_SECONDS, 2 * SESSION_SECONDS)) * self._random.random()
        await asyncio.gather(self._expire_later(one.name), self._start_later(one.service, one.name, back_seconds))

    async def _expire_later(self, name: str) -> None:
        await self._clock.sleep(SESSION_SECONDS)
        self._broker.expire(name)

    async def _start_later(self, service: Service, name: str, seconds: float) -> None:
        await self._clock.sleep(seconds)
        if name not in self._running:
            self._start(service, name)

    async def _freeze(self) -> None:
        """A SIGSTOP and a SIGCONT. Beyond its session it is a zombie: others have gone on without it."""
        if (one := self._someone()) is None:
            return
        one.process.freeze()
        seconds = self._random.choice((2.0, SESSION_SECONDS + 1, 2.5 * SESSION_SECONDS))
        self._tell(f"freeze {one.name} for {seconds}")
        await self._clock.sleep(min(seconds, SESSION_SECONDS))
        if seconds > SESSION_SECONDS:
            self._broker.isolate(one.name)
            await self._clock.sleep(seconds - SESSION_SECONDS)
        self._tell(f"thaw {one.name}")
        one.process.thaw()
        await self._clock.sleep(self._random.uniform(0, 3.0))
        await self._broker.heartbeat(one.name)

    async def _restart(self) -> None:
        """A rolling upgrade: asked to stop, and started again."""
        if (one := self._someone()) is None:
            return
        self._tell(f"stop {one.name}")
        one.stop()
        await asyncio.wait((one.task,))
        if self._running.get(one.name) is one:
            del self._running[one.name]
            back_seconds = self._random.uniform(0, 3.0)
            if self._static:
                await asyncio.gather(
                    self._expire_later(one.name), self._start_later(one.service, one.name, back_seconds)
                )
            else:
                await self._start_later(one.service, one.name, back_seconds)

    async def _another(self) -> None:
        """One more member of a service, or one fewer."""
        service = self._random.choice(SERVICES)
        name = f"{service}-2"
        there = self._running.get(name)
        if there is None:
            self._start(service, name)
            return
        if there.process.frozen or there.task.done():
            return
        self._tell(f"stop {name} for good")
        there.stop()
        await asyncio.wait((there.task,))
        if self._running.get(name) is there:
            del self._running[name]
            await self._expire_later(name)

    async def _storm(self) -> None:
        """Half of one process's requests fail for a while."""
        if (one := self._someone()) is None:
            return
        self._tell(f"storm over {one.name}")
        self._faulty.weather.stormy = one.name
        await self._clock.sleep(self._random.uniform(1.0, 6.0))
        self._faulty.weather.stormy = None

    async def _outage(self) -> None:
        """The receiver or the store is down for a while."""
        down: Receiver | Store = self._random.choice((self._faulty.receiver, self._faulty.store))
        self._tell(f"outage of the {type(down).__name__}")
        down.share = 1.0
        await self._clock.sleep(self._random.uniform(2.0, 30.0))
        self._faulty.rough(self._random)

    async def _compact(self) -> None:
        topic = self._random.choice(COMPACTED)
        self._tell(f"compact {topic}")
        self._broker.compact(topic)

    async def _time_out(self) -> None:
        """A transaction outlives its timeout: the broker aborts it and fences its owner, who may be the only one."""
        shard = self._random.choice(("control-0", "control-1", "membership-0", "membership-1", "activation-router-0"))
        self._tell(f"time out {shard}")
        self._broker.time_out(shard)


def explained(error: BaseException) -> str:
    """The leaves of what a process ended with."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(explained(one) for one in error.exceptions)
    cause = f" from {error.__cause__!r}" if isinstance(error, Fatal) and error.__cause__ is not None else ""
    return f"{type(error).__name__}: {error}{cause}"

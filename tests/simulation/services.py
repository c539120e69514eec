"""The four services as processes of a simulation: composed as their `app.py` composes them, on ports of the simulation.

Randomness that they take by default comes from the machine's generator, which a simulation seeds.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from itertools import count
from typing import Final, Literal

from services.activation.app import activate
from services.adapters.memory import MemoryBroker, MemoryLog
from services.control.app import control_service
from services.intake.app import Outside, run_intake
from services.membership.app import run_membership
from services.runtime.clock import Clock
from services.runtime.fold import run_folds
from services.runtime.health import Health
from services.runtime.objects import NotificationQueue, OwnedObjects
from services.runtime.settings import Settings
from services.runtime.web import Web
from tests.simulation.loop import Process
from tests.unit.activation.lane_bench import ScriptedOutlets

Service = Literal["control", "intake", "membership", "activation"]
SERVICES: Final[tuple[Service, ...]] = ("control", "intake", "membership", "activation")


@dataclass
class Ports:
    """What all processes are connected to."""

    broker: MemoryBroker
    clock: Clock
    settings: Settings
    objects: OwnedObjects
    queues: Mapping[str, NotificationQueue]
    web: Web
    reading_ids: "count[int]" = field(default_factory=count)


class Running:
    """One process of a service, from its start to its end. The same `name` is the same pod, started again."""

    def __init__(self, service: Service, name: str, ports: Ports, *, static: bool) -> None:
        self.service = service
        self.name = name
        self.process = Process(name)
        self.health = Health(ports.clock)
        self._settings = ports.settings.model_copy(update={"instance_id": name if static else None})
        self._stopping = asyncio.Event()
        self._ports = ports
        self._log = ports.broker.connect(name)
        self.task = self.process.start(self._main())

    def stop(self) -> None:
        """A SIGTERM: what is under way is finished."""
        self._stopping.set()

    async def _main(self) -> None:
        async with self._log:
            await MAINS[self.service](self._log, self._ports, self._settings, self.health, self._stopping)


Main = Callable[[MemoryLog, Ports, Settings, Health, asyncio.Event], Awaitable[None]]


async def _control(log: MemoryLog, ports: Ports, settings: Settings, health: Health, stopping: asyncio.Event) -> None:
    service = control_service(log, clock=ports.clock, delivery_partitions=settings.topic_partitions_deliveries)
    await run_folds(log, service, clock=ports.clock, health=health, stopping=stopping, instance_id=settings.instance_id)


async def _membership(
    log: MemoryLog, ports: Ports, settings: Settings, health: Health, stopping: asyncio.Event
) -> None:
    await run_membership(log, ports.objects, settings, clock=ports.clock, health=health, stopping=stopping)


async def _intake(log: MemoryLog, ports: Ports, settings: Settings, health: Health, stopping: asyncio.Event) -> None:
    outside = Outside(log, ports.objects, others=log, queues=ports.queues)  # no prefix sets usher's topics apart here
    await run_intake(
        outside,
        settings,
        clock=ports.clock,
        health=health,
        stopping=stopping,
        new_id=lambda: f"reading-{next(ports.reading_ids)}",
    )


async def _activation(
    log: MemoryLog, ports: Ports, settings: Settings, health: Health, stopping: asyncio.Event
) -> None:
    await activate(
        log, ports.web, ScriptedOutlets(), settings, clock=ports.clock, health=health, stopping=stopping, environment={}
    )


MAINS: Final[dict[Service, Main]] = {
    "control": _control,
    "intake": _intake,
    "membership": _membership,
    "activation": _activation,
}

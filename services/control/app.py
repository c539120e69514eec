"""Control, composed: the fold loop over the sequencer, on Kafka."""

import asyncio
from collections.abc import Callable
from functools import partial

from contracts.messages.entities import Destination
from services.adapters.connect import open_http, open_kafka
from services.connectors.declaration import Declaration, mistakes
from services.connectors.registry import CONNECTORS
from services.control.restore import ControlService
from services.domain.catalogue.destinations import Connectors, Remark
from services.runtime.clock import SystemClock
from services.runtime.fold import run_folds
from services.runtime.health import Health
from services.runtime.settings import Settings


async def main(settings: Settings, health: Health, stopping: asyncio.Event) -> None:
    """Folds the shards that the group gives us until `stopping` is set."""
    async with open_kafka(settings, client_id="usher-control") as log, open_http(settings, health):
        service = ControlService(
            log, connectors=known_connectors(), delivery_partitions=settings.topic_partitions_deliveries
        )
        await run_folds(
            log,
            service,
            clock=SystemClock(),
            health=health,
            stopping=stopping,
            instance_id=settings.instance_id,
        )


def known_connectors() -> Connectors:
    """Each connector's judgement on a destination, from its declaration."""
    checks: dict[str, Callable[[Destination], list[Remark]]] = {
        slug: partial(_remarks, connector.declaration) for slug, connector in CONNECTORS.items()
    }
    return checks


def _remarks(declaration: Declaration, destination: Destination) -> list[Remark]:
    found = mistakes(declaration, settings=destination.settings, secrets=destination.secrets, limits=destination.limits)
    return [(one.code, f"{one.field}: {one.detail}") for one in found]

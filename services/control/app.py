"""Control, composed: the fold loop over the sequencer, on Kafka."""

import asyncio
from functools import partial

from contracts.messages.entities import Destination
from services.adapters.connect import open_http, open_kafka
from services.connectors.declaration import Declaration, mistakes
from services.connectors.registry import CONNECTORS
from services.control.restore import ControlService
from services.domain.catalogue.destinations import Remark
from services.runtime.clock import SystemClock
from services.runtime.fold import run_folds
from services.runtime.health import Health
from services.runtime.log import Log
from services.runtime.settings import Settings


async def main(settings: Settings, health: Health, stopping: asyncio.Event) -> None:
    """Folds the shards that the group gives us until `stopping` is set."""
    async with open_kafka(settings, client_id="control") as log, open_http(settings, health):
        await run_folds(
            log,
            control_service(
                log, delivery_partitions=settings.topic_partitions_deliveries, topic_prefix=settings.topic_prefix
            ),
            clock=SystemClock(),
            health=health,
            stopping=stopping,
            instance_id=settings.instance_id,
        )


def control_service(log: Log, *, delivery_partitions: int, topic_prefix: str = "usher") -> ControlService:
    """Control over any log, with every connector's judgement on destinations: for `main` and for simulations."""
    connectors = {slug: partial(_remarks, connector.declaration) for slug, connector in CONNECTORS.items()}
    return ControlService(
        log,
        connectors=connectors,
        delivery_partitions=delivery_partitions,
        topic_prefix=topic_prefix,
    )


def _remarks(declaration: Declaration, destination: Destination) -> list[Remark]:
    found = mistakes(declaration, settings=destination.settings, secrets=destination.secrets, limits=destination.limits)
    return [(one.code, f"{one.field}: {one.detail}") for one in found]

"""Puts activation together: router, lanes, receipts, verifier, and the view of the catalogue."""

import asyncio
import os
from collections.abc import Callable, Coroutine, Mapping
from functools import partial

from contracts import catalog
from services.activation import lanes, receipts, verifier
from services.activation.lane_health import RetryPolicy
from services.activation.lane_ports import LanePorts
from services.activation.rates import Rates
from services.activation.reports import Reports
from services.activation.restore import RouterService
from services.activation.secret_store import SecretStore
from services.activation.tokens import Tokens
from services.adapters.connect import open_http, open_kafka
from services.adapters.connect_destinations import open_outlets, open_web
from services.runtime.backoff import SYSTEM_RANDOM
from services.runtime.catalogue_view import CatalogueView
from services.runtime.clock import Clock, SystemClock
from services.runtime.deliver import run_deliveries
from services.runtime.failures import Fatal
from services.runtime.fold import run_folds
from services.runtime.health import Health
from services.runtime.log import Log, Producer
from services.runtime.loops.backlog import Backlog
from services.runtime.outlets import Outlets
from services.runtime.settings import Settings
from services.runtime.startup import once_available
from services.runtime.web import Web

Loop = Callable[..., Coroutine[None, None, None]]
"""`run_deliveries` with what all loops of the process share."""

_MARGIN_HOURS = 24  # what a blocked lane gives up while its queue still holds it can be seen to before it is gone


async def main(settings: Settings, health: Health, stopping: asyncio.Event) -> None:
    """The service, until `stopping` is set."""
    async with (
        open_http(settings, health),
        open_kafka(settings, client_id="usher-activation") as log,
        open_web(settings) as web,
        open_outlets(settings) as outlets,
    ):
        await activate(
            log, web, outlets, settings, clock=SystemClock(), health=health, stopping=stopping, environment=os.environ
        )


async def activate(
    log: Log,
    web: Web,
    outlets: Outlets,
    settings: Settings,
    *,
    clock: Clock,
    health: Health,
    stopping: asyncio.Event,
    environment: Mapping[str, str],
) -> None:
    """Router, lanes and verifier over any log, web and outlets, for this process and for simulations."""
    queue_partitions = settings.partitions("deliveries")
    catalogue = CatalogueView(log, clock=clock, health=health)
    made = await once_available(partial(_beginning, log), clock=clock, stopping=stopping)
    if made is None:
        return
    producer, outcome_partitions, change_partitions = made
    router = RouterService(log, queue_partitions=queue_partitions, outcome_partitions=outcome_partitions)
    secrets = SecretStore(environment, settings.secret_references(), clock=clock)
    ports = LanePorts(
        web=web,
        outlets=outlets,
        reports=Reports(producer, clock=clock, random=SYSTEM_RANDOM),
        catalogue=catalogue,
        secrets=secrets,
        tokens=Tokens(web, clock=clock),
        rates=Rates(queue_partitions, secrets.credential),
        clock=clock,
        queue_reader=log.reader,
        change_partitions=change_partitions,
        outcome_partitions=outcome_partitions,
        record_age_seconds_max=_record_age_seconds_max(),
        policy=RetryPolicy(
            budget_seconds=settings.delivery_budget_seconds, probe_seconds=settings.delivery_probe_seconds
        ),
    )
    deliver = partial(run_deliveries, log, clock=clock, health=health, stopping=stopping)
    folds = run_folds(log, router, clock=clock, health=health, stopping=stopping, instance_id=settings.instance_id)
    drained = asyncio.Event()
    try:
        async with asyncio.TaskGroup() as following:
            following.create_task(catalogue.run(drained))  # lanes still ask it while they drain
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(_deliveries(deliver, ports))
                tasks.create_task(_questions(deliver, ports))
                tasks.create_task(_verifications(deliver, ports))
                tasks.create_task(folds)
            drained.set()
    finally:
        await producer.close()


def _deliveries(deliver: Loop, ports: LanePorts) -> Coroutine[None, None, None]:
    return deliver(
        lanes.GROUP,
        lanes.Lanes(ports),
        pattern=catalog.QUEUE_PATTERN,
        records_max=lanes.RECORDS_MAX,
        partition_bytes_max=lanes.PARTITION_BYTES_MAX,
        backlog=Backlog(
            bytes_left=lanes.BACKLOG_BYTES_MAX,
            lane_bytes_max=lanes.LANE_BYTES_MAX,
            full_bytes=lanes.PARTITION_BYTES_MAX * 3 // 4,
        ),
        handle_seconds_max=lanes.HANDLE_SECONDS_MAX,
    )


def _questions(deliver: Loop, ports: LanePorts) -> Coroutine[None, None, None]:
    return deliver(
        receipts.GROUP,
        receipts.Receipts(ports),
        topics=[catalog.RECEIPTS],
        records_max=receipts.RECORDS_MAX,
        handle_seconds_max=lanes.HANDLE_SECONDS_MAX,
    )


def _verifications(deliver: Loop, ports: LanePorts) -> Coroutine[None, None, None]:
    return deliver(
        verifier.GROUP,
        verifier.Verifier(ports),
        topics=verifier.TOPICS,
        records_max=verifier.RECORDS_MAX,
        handle_seconds_max=verifier.HANDLE_SECONDS_MAX,
        skips_lost=True,
    )


async def _beginning(log: Log) -> tuple[Producer, int, int]:
    """A producer, and how many partitions the outcomes and the changes have."""
    topics = (catalog.OUTCOMES, catalog.CHANGES, catalog.RECEIPTS, *verifier.TOPICS)
    counts = {topic: await log.partitions(topic) for topic in topics}
    for topic, count in counts.items():
        if count == 0:
            raise Fatal(f"there is no topic {topic}: run `usher topics`")
    return await log.producer(), counts[catalog.OUTCOMES], counts[catalog.CHANGES]


def _record_age_seconds_max() -> float:
    """How long a blocked lane may hold on to a record: what the queue keeps, less a margin."""
    return (catalog.topic_pages()[catalog.DELIVERIES].retention_hours - _MARGIN_HOURS) * 3600.0

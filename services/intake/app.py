"""Puts intake together in one process: catalogue view, read, streams, reconcile, a watch for each source of events."""

import asyncio
import uuid
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from contracts.catalog import INPUT, INTAKE_EVENTS, INTAKE_REQUESTS, OBJECTS
from services.adapters.connect import open_http, open_kafka, open_objects, open_queue
from services.intake.announcing import Announcer
from services.intake.known_imports import KnownImports
from services.intake.read import RECORDS_MAX as READ_RECORDS_MAX
from services.intake.read import Readings, runs
from services.intake.reconcile import Reconciler, Share
from services.intake.streams import Streams
from services.intake.watch import RECORDS_MAX as WATCH_RECORDS_MAX
from services.intake.watch import QueueWatch, TopicWatch
from services.runtime.catalogue_view import CatalogueView
from services.runtime.clock import Clock, SystemClock
from services.runtime.deliver import run_deliveries
from services.runtime.failures import Fatal
from services.runtime.health import Health
from services.runtime.log import Log, Producer
from services.runtime.objects import NotificationQueue, Objects
from services.runtime.settings import Settings
from services.runtime.startup import once_available

READ_GROUP: Final = "intake-read"
WATCH_GROUP: Final = "intake-watch"
STREAM_GROUP: Final = "intake-stream"  # of each topic feed: then come its space and its id


@dataclass(frozen=True)
class Outside:
    """What intake is connected to. `others` is the same broker with topics by their whole names: they are others'."""

    log: Log
    objects: Objects
    others: Log | None = None
    notification_topics: Sequence[str] = ()
    queues: Mapping[str, NotificationQueue] = field(default_factory=dict)  # by URL


async def main(settings: Settings, health: Health, stopping: asyncio.Event) -> None:
    """The service, until `stopping` is set."""
    async with AsyncExitStack() as opened:
        await opened.enter_async_context(open_http(settings, health))
        log = await opened.enter_async_context(open_kafka(settings, client_id="intake"))
        objects = await opened.enter_async_context(open_objects(settings))
        ours = f"{settings.topic_prefix}.{OBJECTS}"
        topics = [source.name for source in settings.object_notifications if source.kind == "kafka"]
        topics = [topic for topic in dict.fromkeys(topics) if topic != ours]
        others = await opened.enter_async_context(open_kafka(settings, client_id="intake-others", prefix=""))
        urls = dict.fromkeys(source.name for source in settings.object_notifications if source.kind == "sqs")
        queues = {url: await opened.enter_async_context(open_queue(settings, url)) for url in urls}
        outside = Outside(log, objects, others, topics, queues)
        await run_intake(outside, settings, clock=SystemClock(), health=health, stopping=stopping)


async def run_intake(
    outside: Outside,
    settings: Settings,
    *,
    clock: Clock,
    health: Health,
    stopping: asyncio.Event,
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
) -> None:
    """Intake over any log, objects and queues, for this process and for simulations."""
    catalogue = CatalogueView(outside.log, clock=clock, health=health)
    made = await once_available(partial(_beginning, outside.log), clock=clock, stopping=stopping)
    if made is None:
        return
    producer, membership_partitions, control_partitions, request_partitions = made
    readings = Readings(
        catalogue,
        outside.objects,
        producer,
        clock=clock,
        new_id=new_id,
        membership_partitions=membership_partitions,
        control_partitions=control_partitions,
        object_bytes_max=settings.object_bytes_max,
        plain_object_bytes_max=settings.plain_object_bytes_max,
    )
    announcer = Announcer(
        catalogue, outside.objects, default_bucket=settings.s3_bucket, control_partitions=control_partitions
    )
    share = Share(readings, request_partitions)
    loops = [*_loops(outside, settings, share, announcer, producer, clock=clock, health=health, stopping=stopping)]
    if settings.reconcile_seconds:
        reconciler = _reconciler(outside, settings, share, announcer, producer, catalogue, clock=clock, health=health)
        loops.append(reconciler.run(stopping))
    if outside.others is not None:
        streams = Streams(
            outside.others,
            catalogue,
            producer,
            clock=clock,
            health=health,
            membership_partitions=membership_partitions,
            group_prefix=f"{settings.topic_prefix}.{STREAM_GROUP}",
            instance_id=settings.instance_id,
        )
        loops.append(streams.run(stopping))
    try:
        await _run(loops, catalogue)
    finally:
        await producer.close()


async def _run(loops: Sequence[Coroutine[None, None, None]], catalogue: CatalogueView) -> None:
    """Until all loops have ended."""
    drained = asyncio.Event()
    async with asyncio.TaskGroup() as following:
        following.create_task(catalogue.run(drained))  # what is under way while the loops drain still asks it
        async with asyncio.TaskGroup() as tasks:
            for loop in loops:
                tasks.create_task(loop)
        drained.set()


def _loops(
    outside: Outside,
    settings: Settings,
    readings: Share,
    announcer: Announcer,
    producer: Producer,
    *,
    clock: Clock,
    health: Health,
    stopping: asyncio.Event,
) -> Iterator[Coroutine[None, None, None]]:
    """Read, and a watch for each source."""
    deliver = partial(run_deliveries, clock=clock, health=health, stopping=stopping, instance_id=settings.instance_id)
    watch = TopicWatch(announcer, producer)
    yield deliver(outside.log, READ_GROUP, readings, topics=[INTAKE_REQUESTS], records_max=READ_RECORDS_MAX, runs=runs)
    yield deliver(outside.log, WATCH_GROUP, watch, topics=[OBJECTS], records_max=WATCH_RECORDS_MAX)
    if outside.others is not None and outside.notification_topics:
        group = f"{settings.topic_prefix}.{WATCH_GROUP}-others"  # nothing else tells installations apart here
        topics = outside.notification_topics
        yield deliver(outside.others, group, watch, topics=topics, records_max=WATCH_RECORDS_MAX)
    for url, queue in outside.queues.items():
        yield QueueWatch(queue, url, announcer, producer, clock=clock, health=health).run(stopping)


def _reconciler(  # noqa: PLR0917 - what the parts of one process share
    outside: Outside,
    settings: Settings,
    share: Share,
    announcer: Announcer,
    producer: Producer,
    catalogue: CatalogueView,
    *,
    clock: Clock,
    health: Health,
) -> Reconciler:
    return Reconciler(
        share,
        outside.objects,
        KnownImports(outside.log, clock=clock),
        announcer,
        producer,
        catalogue=catalogue,
        clock=clock,
        health=health,
        every_seconds=settings.reconcile_seconds,
        grace_seconds=settings.reconcile_grace_seconds,
        default_bucket=settings.s3_bucket,
    )


async def _beginning(log: Log) -> tuple[Producer, int, int, int]:
    """A producer, and how many partitions the membership input, the events for control and the read requests have."""
    counts = {topic: await log.partitions(topic) for topic in (INPUT, INTAKE_EVENTS, INTAKE_REQUESTS)}
    missing = [topic for topic, count in counts.items() if count == 0]
    if missing:
        raise Fatal(f"there is no topic {', '.join(missing)}: run `usher topics`")
    return await log.producer(), counts[INPUT], counts[INTAKE_EVENTS], counts[INTAKE_REQUESTS]

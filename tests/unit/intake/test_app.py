"""Intake as a whole over a memory log: every source is watched, requests are read, and a stop drains what is under way."""

import asyncio

import pytest

from contracts import catalog, codec
from contracts.catalog import TopicSpec
from contracts.messages.intake import ObjectAnnounced, ReadingFinished, ReadRequest
from contracts.records import Out
from services.adapters.memory import MemoryBroker
from services.intake.app import Outside, run_intake
from services.runtime.clock import SystemClock
from services.runtime.failures import Fatal
from services.runtime.health import Health
from services.runtime.settings import Settings
from tests.conformance.harness import eventually
from tests.unit.intake.outside import (
    BUCKET,
    MemoryObjects,
    MemoryQueue,
    audience,
    aws_record,
    feed,
    notification,
    world,
)

SETTINGS = Settings.model_validate({"kafka_bootstrap_servers": "localhost:1", "s3_bucket": BUCKET})


async def test_from_notifications_to_sealed_rows() -> None:
    async with world(following=False) as outside:
        theirs = MemoryBroker()
        await theirs.connect("setup").ensure_topic(
            TopicSpec(name="minio.events", partitions=2, cleanup="delete", retention_ms=-1, max_message_bytes=1 << 20)
        )
        queue, stopping, clock = MemoryQueue(), asyncio.Event(), SystemClock()
        health = Health(clock)
        connected = Outside(
            outside.log, outside.objects, theirs.connect("intake"), ["minio.events"], {"http://q": queue}
        )
        running = asyncio.create_task(run_intake(connected, SETTINGS, clock=clock, health=health, stopping=stopping))
        await outside.publish(feed("f", "in/"), audience("a"))
        versions = [outside.objects.put(f"in/{n}", b"u1^a\n") for n in range(3)]
        bodies = [notification(aws_record(version)) for version in versions]
        queue.put(bodies[0])
        await (await outside.broker.connect("store").producer()).send([Out(catalog.OBJECTS, b"k", bodies[1])])
        await (await theirs.connect("store").producer()).send([Out("minio.events", None, bodies[2])])
        await eventually(lambda: not queue.waiting and not health.not_ready(), "ready, and the queue is empty")
        announced = await outside.said(at_least=3)
        assert {one.object.key for one in announced if isinstance(one, ObjectAnnounced)} == {"in/0", "in/1", "in/2"}
        request = ReadRequest(
            space_id="acme",
            import_id="imp_1",
            attempt=1,
            object=versions[0],
            feed_id="f",
            prefix="in/",
            mode="append",
            id_type="kuid",
            format="caret",
            columns=None,
            audience_from="column",
            open_step=5,
        )
        control = await outside.broker.connect("control").producer()
        await control.send([Out(catalog.INTAKE_REQUESTS, b"acme", codec.encode(request), (), 1)])
        assert sum(isinstance(one, ReadingFinished) for one in await outside.said(at_least=4)) == 1
        assert health.not_alive() == []
        stopping.set()
        async with asyncio.timeout(20):
            await running


async def test_without_topics_it_says_what_to_do() -> None:
    clock = SystemClock()
    outside = Outside(MemoryBroker().connect("intake"), MemoryObjects())
    with pytest.raises(Fatal, match="usher topics"):
        await run_intake(outside, SETTINGS, clock=clock, health=Health(clock), stopping=asyncio.Event())

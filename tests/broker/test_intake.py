"""Intake as it is deployed, on a real Kafka, S3 and SQS: every way in, to sealed rows and a reject file."""

import asyncio
import gzip
import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import boto3
import msgspec
import pytest

from contracts import catalog, codec
from contracts.catalog import TopicSpec
from contracts.messages.intake import IntakeEvent, ObjectAnnounced, ReadingFinished, ReadRequest, RowCounts
from contracts.messages.steps import Seal
from contracts.partitioning import space_partition
from contracts.records import Out
from deploy.local.state import StackState
from services.adapters.connect import open_kafka
from services.domain.rows import decode_rows
from services.intake.app import main
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.log import Log
from services.runtime.settings import Settings
from tests.unit.intake.outside import PARTITIONS, all_records, audience, catalogue_record, feed

pytestmark = pytest.mark.broker

ROWS = "".join(f"{uuid.UUID(int=n)}^a\n" for n in range(20_000))


@pytest.fixture
def s3(stack: StackState, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", stack.aws_access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", stack.aws_secret_access_key)
    return boto3.client("s3", endpoint_url=stack.s3_endpoint_url, region_name=stack.s3_region)


@asynccontextmanager
async def running(stack: StackState, name: str) -> AsyncIterator[Log]:
    """Intake with topics of its own, watching the stack's queue and one topic of a foreign name."""
    settings = Settings.model_validate(
        {
            "kafka_bootstrap_servers": stack.kafka_bootstrap_servers,
            "topic_prefix": name,
            "topic_replication_factor": 1,
            "s3_endpoint_url": stack.s3_endpoint_url,
            "sqs_endpoint_url": stack.sqs_endpoint_url,
            "s3_region": stack.s3_region,
            "s3_bucket": stack.s3_bucket,
            "object_notifications": f"{stack.object_notifications},kafka:foreign-{name}",
        }
    )
    health, stopping = Health(SystemClock()), asyncio.Event()
    async with open_kafka(settings, client_id="test") as log, open_kafka(settings, client_id="x", prefix="") as foreign:
        await foreign.ensure_topic(_spec(f"foreign-{name}"))
        for topic in catalog.topic_pages():
            if topic not in catalog.PATTERN_PAGES:
                await log.ensure_topic(catalog.topic_spec(topic, PARTITIONS))
        service = asyncio.create_task(main(settings, health, stopping))
        try:
            yield log
        finally:
            stopping.set()
            await service
        assert health.not_alive() == []


async def test_every_way_in(stack: StackState, s3: Any) -> None:
    name = f"intake-{uuid.uuid4().hex[:8]}"
    async with running(stack, name) as log:
        producer = await log.producer()
        await producer.send([catalogue_record(feed("f", f"{name}/")), catalogue_record(audience("a"))])
        keys = [f"{name}/2026-01-01/{file}" for file in ("by sqs+ü%2B.gz", "by-our-topic", "by-their-topic")]
        for key in keys:
            s3.put_object(Bucket=stack.s3_bucket, Key=key, Body=gzip.compress((ROWS + "bad^nobody\n").encode()))
        (by_queue, *_) = await told(log, 3)  # all three come by the queue; two of them once more
        assert isinstance(by_queue, ObjectAnnounced)
        await producer.send([Out(catalog.OBJECTS, b"k", minio(stack.s3_bucket, keys[1]))])
        async with open_kafka(_plain(stack), client_id="store", prefix="") as foreign:
            theirs = Out(f"foreign-{name}", None, minio(stack.s3_bucket, keys[2]))
            await (await foreign.producer()).send([theirs])
        events = await told(log, 5)
        announced = [event for event in events if isinstance(event, ObjectAnnounced)]
        assert sorted(event.object.key for event in announced) == sorted([*keys, *keys[1:]])
        assert all(event.code is None and event.object.etag for event in announced)

        version = next(event.object for event in announced if event.object.key == keys[0])
        request = ReadRequest(
            space_id="acme",
            import_id="imp_1",
            attempt=1,
            object=version,
            feed_id="f",
            prefix=f"{name}/",
            mode="append",
            id_type="kuid",
            format="caret",
            columns=None,
            audience_from="column",
            open_step=5,
        )
        await producer.send([Out(catalog.INTAKE_REQUESTS, b"acme", codec.encode(request), (), 2)])
        finished = (await told(log, 6))[-1]
        assert isinstance(finished, ReadingFinished)
        assert finished.counts == RowCounts(rows=20_001, valid=20_000, rejected=1)
        rows, seals = 0, []
        for record in await all_records(log, catalog.INPUT):
            if codec.header(record.headers, "ce_type") == "seal":
                seals.append(codec.decode(record.value or b"", Seal).rows)
            else:
                rows += len(decode_rows(record.value or b""))
        assert (rows, sum(seals), len(seals)) == (20_000, 20_000, PARTITIONS)

        where = f"{name}/rejects/imp_1.jsonl"
        assert finished.rejects == f"s3://{stack.s3_bucket}/{where}"
        body = s3.get_object(Bucket=stack.s3_bucket, Key=where)["Body"].read()
        assert json.loads(body) == {"row": 20_001, "code": "row-audience-unknown"}
        # Its own notification is never rows: a later object is announced and nothing else, nowhere.
        s3.put_object(Bucket=stack.s3_bucket, Key=f"{name}/last", Body=b"")
        last = (await told(log, 7))[-1]
        assert isinstance(last, ObjectAnnounced)
        assert last.object.key == f"{name}/last"
        letters = await all_records(log, catalog.DEAD_LETTERS)
        assert not any(name.encode() in (letter.value or b"") for letter in letters)


async def told(log: Log, at_least: int) -> list[IntakeEvent]:
    """What control was told, in order, once it is so much."""
    home = space_partition("acme", PARTITIONS)
    async with asyncio.timeout(60):
        while True:
            records = [one for one in await all_records(log, catalog.INTAKE_EVENTS) if one.partition == home]
            if len(records) >= at_least:
                return [msgspec.json.decode(one.value or b"", type=IntakeEvent) for one in records]
            await asyncio.sleep(0.1)


def minio(bucket: str, key: str) -> bytes:
    """As MinIO's Kafka target writes it."""
    record = {
        "eventVersion": "2.0",
        "eventSource": "minio:s3",
        "eventTime": "2026-01-01T00:00:00.000Z",
        "eventName": "s3:ObjectCreated:Put",
        "s3": {"bucket": {"name": bucket}, "object": {"key": key.replace("/", "%2F")}},
    }
    return json.dumps({"EventName": "s3:ObjectCreated:Put", "Key": f"{bucket}/{key}", "Records": [record]}).encode()


def _plain(stack: StackState) -> Settings:
    return Settings.model_validate({"kafka_bootstrap_servers": stack.kafka_bootstrap_servers})


def _spec(topic: str) -> TopicSpec:
    return TopicSpec(name=topic, partitions=1, cleanup="delete", retention_ms=-1, max_message_bytes=1 << 20)

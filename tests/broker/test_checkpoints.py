"""Checkpoints on a real Kafka and a real S3: a partition moves by them, the log is trimmed, nothing is lost or doubled."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import boto3
import pytest
from structlog.testing import capture_logs

from contracts.catalog import INPUT
from contracts.records import TopicPartition
from deploy.local.state import StackState
from services.adapters.aws import open_client
from services.adapters.kafka import KafkaLog, KafkaSettings
from services.adapters.s3 import S3Objects
from services.membership.app import run_membership
from services.membership.service import GROUP
from services.runtime.clock import SystemClock
from services.runtime.health import Health
from services.runtime.log import Log
from services.runtime.objects import OwnedObjects
from services.runtime.settings import Settings
from tests.conformance.harness import becomes, eventually
from tests.unit.domain.membership.world import World
from tests.unit.membership.state import Feeding, Told, events
from tests.unit.membership.test_service import PARTITIONS, comes_to_stand, lived, topics

pytestmark = pytest.mark.broker

PLACES = [TopicPartition(INPUT, partition) for partition in range(PARTITIONS)]


class Installation:
    """Topics under a prefix of its own, and a bucket."""

    def __init__(self, stack: StackState, objects: OwnedObjects, bucket: str) -> None:
        self.settings = Settings(
            kafka_bootstrap_servers=stack.kafka_bootstrap_servers,
            topic_prefix=f"checkpoints-{uuid.uuid4().hex[:8]}",
            state_url=f"s3://{bucket}/state",
            checkpoint_input_bytes=1,
        )
        self._objects = objects

    def connect(self, name: str) -> Log:
        return KafkaLog(
            KafkaSettings(
                bootstrap_servers=self.settings.kafka_bootstrap_servers,
                client_id=name,
                prefix=self.settings.topic_prefix,
                replication_factor=1,
                session_timeout_seconds=6,
            )
        )

    @asynccontextmanager
    async def running(self, name: str) -> AsyncIterator[None]:
        """One process, stopped in order."""
        stopping, clock = asyncio.Event(), SystemClock()
        async with self.connect(name) as log:
            folding = asyncio.create_task(
                run_membership(log, self._objects, self.settings, clock=clock, health=Health(clock), stopping=stopping)
            )
            try:
                yield
            finally:
                stopping.set()
                await folding


@pytest.fixture
async def installation(stack: StackState, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Installation]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", stack.aws_access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", stack.aws_secret_access_key)
    theirs = boto3.client("s3", endpoint_url=stack.s3_endpoint_url, region_name=stack.s3_region)
    bucket = f"state-{uuid.uuid4().hex[:12]}"
    theirs.create_bucket(Bucket=bucket)
    theirs.close()
    async with open_client("s3", endpoint_url=stack.s3_endpoint_url, region=stack.s3_region) as client:
        yield Installation(stack, S3Objects(client, clock=SystemClock()), bucket)


def partitions_of(told: Told, event: str) -> set[int]:
    return {line["partition"] for line in events(told, event)}


async def test_partitions_move_by_checkpoint_and_tail(installation: Installation) -> None:
    world: World = lived(6)
    with capture_logs() as told:
        async with AsyncExitStack() as stack:
            log = await stack.enter_async_context(installation.connect("test"))
            await topics(log)
            feeding = Feeding(log, world)

            async def committed() -> list[int]:
                offsets = await log.committed(GROUP, PLACES)
                return [offsets.get(place, 0) for place in PLACES]

            await feeding.some(0.2)
            async with installation.running("first"):
                await becomes(committed, feeding.fed)
                await eventually(lambda: len(partitions_of(told, "checkpoint-written")) == PARTITIONS, "both have one")
                async with installation.running("second"):
                    await eventually(lambda: partitions_of(told, "checkpoint-restored") == {0, 1}, "they moved")
                    await feeding.some(0.4)
                    await becomes(committed, feeding.fed)
                await feeding.some(0.6)
                await becomes(committed, feeding.fed)
            for number, share in enumerate((0.8, 1.0)):
                await feeding.some(share)
                async with installation.running(f"later-{number}"):
                    await becomes(committed, feeding.fed)
            await comes_to_stand(log, world)
            begins = await log.begin_offsets(PLACES)
    assert all(begin > 0 for begin in begins.values()), "three are complete, so the log went behind the oldest"
    last = events(told, "checkpoint-restored")[-PARTITIONS:]
    assert [line["offset"] for line in last] == [line["committed"] for line in last], "an upgrade replays nothing"
    for problem in ("checkpoint-unusable", "checkpoint-failed", "checkpoint-tidying-failed"):
        assert events(told, problem) == []

"""Puts membership together: the only file of it that names concrete classes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.adapters.connect import open_http, open_kafka, open_objects
from services.domain.membership.inspection import Answer, Question
from services.membership.checkpoint_store import CheckpointStore
from services.membership.checkpointing import Pace
from services.membership.inspection import Inspection
from services.membership.service import Checkpoints, MembershipService
from services.runtime.clock import Clock, SystemClock
from services.runtime.fold import run_folds
from services.runtime.health import Health
from services.runtime.log import Log
from services.runtime.objects import OwnedObjects
from services.runtime.settings import Settings


async def main(settings: Settings, health: Health, stopping: asyncio.Event) -> None:
    """Folds the partitions of the membership input that the group gives us, until `stopping`."""
    clock = SystemClock()
    async with (
        open_kafka(settings, client_id="membership") as log,
        open_http(settings, health),
        _open_state(settings) as objects,
    ):
        await run_membership(log, objects, settings, clock=clock, health=health, stopping=stopping)


async def answer(settings: Settings, question: Question) -> Answer:
    """Answers `usher inspect` in a process of its own: the service folds on, or is not even running."""
    async with open_kafka(settings, client_id="inspect") as log, _open_state(settings) as objects:
        return await Inspection(log, _store(objects, settings), clock=SystemClock()).answer(question)


async def run_membership(
    log: Log, objects: OwnedObjects | None, settings: Settings, *, clock: Clock, health: Health, stopping: asyncio.Event
) -> None:
    """The service on given ports. `objects` None, or no USHER_STATE_URL: without checkpoints."""
    service = MembershipService(log, clock=clock, checkpoints=_checkpoints(objects, settings))
    try:
        await run_folds(log, service, clock=clock, health=health, stopping=stopping, instance_id=settings.instance_id)
    finally:
        await service.close()


@asynccontextmanager
async def _open_state(settings: Settings) -> AsyncIterator[OwnedObjects | None]:
    if settings.state_url is None:
        yield None
        return
    async with open_objects(settings, signs_bodies=False) as objects:  # a checkpoint is checked when it is loaded
        yield objects


def _checkpoints(objects: OwnedObjects | None, settings: Settings) -> Checkpoints | None:
    store = _store(objects, settings)
    if store is None:
        return None
    pace = Pace(input_bytes=settings.checkpoint_input_bytes, seconds=settings.checkpoint_seconds)
    return Checkpoints(store, pace)


def _store(objects: OwnedObjects | None, settings: Settings) -> CheckpointStore | None:
    """Under the topic prefix: two installations may share a bucket as they may share a Kafka."""
    if objects is None or settings.state_url is None:
        return None
    bucket, _, path = settings.state_url.removeprefix("s3://").partition("/")
    prefix = "/".join(part for part in (path.strip("/"), settings.topic_prefix) if part)
    return CheckpointStore(objects, bucket, prefix)

"""Workers of membership come and go while imports run: partitions move by checkpoint and tail, nothing lost or doubled.

That the state of a partition is freed where it is left stands in `unit/membership/test_checkpoints.py`.
"""

import asyncio
import json
from random import Random
from typing import Any

import pytest

from services.runtime.log import Log
from services.tools.receiver import Receiver
from tests.broker.chaos_laws import Witness, check
from tests.broker.chaos_user import START, User
from tests.broker.space import own_space
from tests.broker.system import PARTITIONS, System, eventually

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

NO_PLACE_KEPT = {"USHER_INSTANCE_ID": ""}  # a worker that leaves gives its partitions up at once
WORKERS = ("membership", "membership-2", "membership-3")


async def share(system: System, *workers: str) -> None:
    """Returns when these, and all of them, fold the partitions among them."""
    total = PARTITIONS["membership"]
    await system.ready(*workers)

    async def is_shared() -> bool:
        parts = [await system.metric(name, "usher_fold_shards_partitions", group="membership") for name in workers]
        return all(parts) and sum(parts) == total

    await eventually(f"{', '.join(workers)} share {total} partitions", is_shared)


def events(system: System, worker: str, event: str) -> list[dict[str, Any]]:
    """What the worker has told of that kind, since the system began."""
    lines = (json.loads(line) for line in system.log_of(worker).splitlines() if line.startswith("{"))
    return [line for line in lines if line.get("event") == event]


async def test_from_one_worker_to_three_and_back(
    system: System, others: Log, receiver: tuple[Receiver, str], space_name: str
) -> None:
    one, two, three = WORKERS
    before = {event: len(events(system, one, event)) for event in ("shard-fenced", "shard-restored")}
    async with own_space(system, space_name, clock="manual", time=START) as space:
        user = User(Random(17), space, receiver[1], others)
        async with Witness.of(space) as witness:
            await user.set_up()
            stopping = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(user.live(stopping))
                await system.start(two, NO_PLACE_KEPT)
                await share(system, one, two)
                await system.start(three, NO_PLACE_KEPT)
                await share(system, *WORKERS)
                assert await system.stop(two) == 0
                await share(system, one, three)
                assert await system.stop(three) == 0
                await share(system, one)
                stopping.set()
            await user.settle()
        await check(user, witness)
    moved = events(system, two, "checkpoint-restored") + events(system, three, "checkpoint-restored")
    assert {line["partition"] for line in moved} <= set(range(PARTITIONS["membership"]))
    assert moved, "they began with a checkpoint"
    assert all(line["offset"] > 0 for line in moved)
    rebalances = 4
    restored = len(events(system, one, "shard-restored")) - before["shard-restored"]
    assert restored <= rebalances * PARTITIONS["membership"], (
        "no heartbeat was missed: only who came and went moved any"
    )
    assert len(events(system, one, "shard-fenced")) == before["shard-fenced"]

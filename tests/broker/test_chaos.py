"""Kills and freezes at random while everything goes on; afterwards everything is as if nothing had happened.

`make chaos SEED=7 ROUNDS=200`, or `CHAOS_SEED=7 CHAOS_ROUNDS=200 pytest tests/broker/test_chaos.py`. A seed means the
same blows to the same services, but not the same instants: the machine has its say.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from random import Random
from typing import Final

import pytest

from services.runtime.log import Log
from services.tools.receiver import Receiver
from services.tools.topics import SERVICES
from tests.broker.chaos_laws import Witness, check
from tests.broker.chaos_nemesis import Nemesis
from tests.broker.chaos_user import START, User
from tests.broker.space import own_space
from tests.broker.system import System

SEED: Final = int(os.environ.get("CHAOS_SEED") or 1)
ROUNDS: Final = int(os.environ.get("CHAOS_ROUNDS") or 10)
ROUNDS_A_SPACE: Final = 10  # the naive model looks at the whole history of a space after every step

Services = Mapping[str, Mapping[str, str]]

pytestmark = [
    pytest.mark.broker,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(240),
]


@asynccontextmanager
async def two_workers(system: System, *, static: bool) -> AsyncIterator[Services]:
    """All services, with a second worker of membership: one that the group keeps a place for, or not."""
    own = {} if static else {"USHER_INSTANCE_ID": ""}
    async with system.another("membership-2", own):
        yield {**{name: {} for name in SERVICES}, "membership-2": own}


@asynccontextmanager
async def one_worker(system: System) -> AsyncIterator[Services]:
    yield {name: {} for name in SERVICES}


def workers(system: System, part: int) -> AbstractAsyncContextManager[Services]:
    return one_worker(system) if part % 3 == 1 else two_workers(system, static=part % 3 == 2)


@pytest.mark.parametrize("part", range(-(-ROUNDS // ROUNDS_A_SPACE)), ids=lambda part: f"seed-{SEED}-part-{part}")
async def test_kills_and_freezes_change_nothing(
    system: System, others: Log, receiver: tuple[Receiver, str], space_name: str, part: int
) -> None:
    rounds = min(ROUNDS_A_SPACE, ROUNDS - part * ROUNDS_A_SPACE)
    received, hook = receiver[0].received, receiver[1]
    told: list[str] = []
    try:
        async with (
            workers(system, part) as services,
            own_space(system, space_name, clock="manual", time=START) as space,
        ):
            nemesis = Nemesis(Random(f"{SEED}/{part}"), system, services, told)
            user = User(Random(f"{SEED}/{part}/user"), space, hook, others)
            async with Witness.of(space) as witness:
                await user.set_up()
                stopping = asyncio.Event()
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(user.live(stopping))
                    await nemesis.rage(rounds)
                    stopping.set()
                await user.settle()
            await check(user, witness)
            await space.until("all is delivered", lambda: set(received.members("act")) == space.members("delivered"))
            assert received.counters["conflicts"] == 0
    except BaseException as error:
        error.add_note("\n".join([*told, *system.ended()]))
        error.add_note(f"to see something like it again: make chaos SEED={SEED} ROUNDS={ROUNDS}")
        raise

"""Activation killed and receivers failing at random while audiences change; afterwards every receiver has the membership.

`make soak SEED=7 ROUNDS=200`, or `SOAK_SEED=7 SOAK_ROUNDS=200 pytest tests/broker/test_soak.py`. A seed means the same
changes, faults and kills in the same order, but not at the same instants: the machine has its say.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from random import Random
from typing import Final

import pytest

from contracts import catalog, codec
from contracts.messages.delivery import Delivery
from contracts.records import Record
from services.client import Follower
from services.tools.receiver import Behaviour, Receiver, serving
from tests.broker.space import Space, own_space
from tests.broker.system import SECRET, SECRET_REFERENCE, System

SEED: Final = int(os.environ.get("SOAK_SEED") or 1)
ROUNDS: Final = int(os.environ.get("SOAK_ROUNDS") or 1)
ROUNDS_A_SPACE: Final = 10
IDENTITIES: Final = [f"u{number:04d}" for number in range(300)]
TIMEOUT_SECONDS: Final = 1.0
RECEIVERS: Final[dict[str, dict[str, object]]] = {
    "small": {"items_per_request": 7},
    "slow": {"requests_per_second": 20},
    "plain": {},
}
ACTIVATIONS: Final = (("a", "small"), ("b", "small"), ("a", "slow"), ("b", "plain"))
FAULTS: Final[dict[str, Behaviour]] = {
    "429": Behaviour(status=429, headers={"Retry-After": "1"}),
    "500": Behaviour(status=500),
    "hang": Behaviour(delay_seconds=2 * TIMEOUT_SECONDS, cut=True),
    "reset": Behaviour(cut=True),
    "partial": Behaviour(status=503, partly=True),
    "401": Behaviour(status=401),
    "401 twice": Behaviour(status=401, times=2),
    "late": Behaviour(delay_seconds=1.5 * TIMEOUT_SECONDS),
    "taken, then cut": Behaviour(applied=True, cut=True),
}

pytestmark = [
    pytest.mark.broker,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(240),
]


@pytest.mark.parametrize("part", range(-(-ROUNDS // ROUNDS_A_SPACE)), ids=lambda part: f"seed-{SEED}-part-{part}")
async def test_every_receiver_ends_with_the_membership(system: System, space_name: str, part: int) -> None:
    told: list[str] = []
    try:
        async with (
            workers(system, second=part % 2 == 1) as names,
            own_space(system, space_name) as space,
            AsyncExitStack() as opened,
        ):
            receivers = {name: Receiver(secrets=[SECRET]) for name in RECEIVERS}
            urls = {name: await opened.enter_async_context(serving(one)) for name, one in receivers.items()}
            await set_up(space, urls)
            stopping = asyncio.Event()
            async with asyncio.TaskGroup() as tasks:
                changing = tasks.create_task(change(space, Random(f"{SEED}/{part}/user"), stopping))
                tasks.create_task(fail(receivers, Random(f"{SEED}/{part}/faults"), stopping, told))
                rounds = min(ROUNDS_A_SPACE, ROUNDS - part * ROUNDS_A_SPACE)
                await kill(system, names, Random(f"{SEED}/{part}/kills"), rounds, told)
                stopping.set()
            for receiver in receivers.values():
                receiver.behave([])
            await check(space, receivers, changing.result())
    except BaseException as error:
        error.add_note("\n".join(told))
        error.add_note(f"to see something like it again: make soak SEED={SEED} ROUNDS={ROUNDS}")
        raise


@asynccontextmanager
async def workers(system: System, *, second: bool) -> AsyncIterator[Sequence[str]]:
    """Those of activation, of which one takes over where the other is killed."""
    if not second:
        yield ["activation"]
        return
    async with system.another("activation-2"):
        yield ["activation", "activation-2"]


async def set_up(space: Space, urls: dict[str, str]) -> None:
    """Two audiences; of the destinations one has both."""
    await space.audiences("a", "b")
    for name, url in urls.items():
        settings = {"url": f"{url}/hook", "timeout_seconds": TIMEOUT_SECONDS}
        secrets = {"signing": SECRET_REFERENCE}
        await space.destination(name, url, settings=settings, secrets=secrets, limits=RECEIVERS[name])
    for audience, destination in ACTIVATIONS:
        name = f"{audience} to {destination}"
        await space.send("activations.create", {"name": name, "audience": audience, "destination": destination})


async def change(space: Space, random: Random, stopping: asyncio.Event) -> list[str]:
    """Goes on until it is stopped; the ids of its commands."""
    sent: list[str] = []
    while not stopping.is_set():
        some = random.sample(IDENTITIES, random.choice((1, 5, 60)))
        item = {"audience": random.choice("ab"), "identifiers": some}
        type_ = random.choice(("members.add", "members.add", "members.remove", "members.remove", "members.replace"))
        sent.append(await space.client.publish(space.name, type_, {"items": [item]}))
        await pass_(random.expovariate(12), stopping)
    return sent


async def fail(receivers: dict[str, Receiver], random: Random, stopping: asyncio.Event, told: list[str]) -> None:
    """Now this receiver, now that."""
    while not stopping.is_set():
        name, fault = random.choice(list(receivers)), random.choice(list(FAULTS))
        receivers[name].behave([FAULTS[fault]])
        told.append(f"{asyncio.get_running_loop().time():10.2f} {name}: {fault}")
        await pass_(random.uniform(0.1, 0.6), stopping)


async def kill(system: System, names: Sequence[str], random: Random, rounds: int, told: list[str]) -> None:
    """`kill -9` in the midst of work, so many times."""
    for _ in range(rounds):
        await pass_(random.uniform(0.3, 2.0))
        name = random.choice(names)
        told.append(f"{asyncio.get_running_loop().time():10.2f} {name} is killed")
        await system.kill(name)
        await system.start(name)
        await system.ready(name)
        assert system.ended() == []
    await pass_(1.0)


async def pass_(seconds: float, stopping: asyncio.Event | None = None) -> None:
    """The time between two things that happen: nothing is waited for, but perhaps the end of all."""
    await asyncio.wait((asyncio.ensure_future((stopping or asyncio.Event()).wait()),), timeout=seconds)


async def check(space: Space, receivers: dict[str, Receiver], commands: Sequence[str]) -> None:
    """The laws of the issue; that the counters add up is in the audit of the space."""
    for command_id in commands:
        assert not (await space.client.reply(command_id)).errors
    await space.catch_up()
    seen: dict[str, set[str]] = {}
    for audience, destination in ACTIVATIONS:
        activation = space.observed.id_of("activation", f"{audience} to {destination}")
        received = receivers[destination].received
        await space.until(
            f"{destination} has {audience}",
            lambda audience=audience, activation=activation, received=received: (  # type: ignore[misc]  # bound at once
                space.members(audience) == set(received.members(activation))
                and space.observed.activations[activation].counters.pending == 0
            ),
        )
        counters = space.observed.activations[activation].counters
        assert counters.dead_lettered == 0
        assert counters.changes == counters.delivered + counters.merged > 0
        seen[activation] = received.delivery_ids()
    for receiver in receivers.values():
        assert (receiver.received.counters["conflicts"], receiver.received.counters["refused"]) == (0, 0)
        assert receiver.received.counters["deliveries"] > 0
    deliveries = await queued(space)
    assert {one.activation_id for one in deliveries} == seen.keys()
    assert not unseen(deliveries, seen), "a delivery never arrived, and nothing took its place"
    assert unseen(deliveries, {activation: set() for activation in seen}), "who saw nothing is told"


async def queued(space: Space) -> list[Delivery]:
    """All that the router has written for the destinations of the space."""
    records: list[Record] = []
    queues = []
    for name in RECEIVERS:
        (form,) = await space.send("destinations.get", {"destination": name})
        queues.append(catalog.queue_topic(form["queue"]))
    follower = await Follower.open(space.system.log, queues, records.append, from_end=False)
    await follower.catch_up()
    await follower.close()
    return [codec.decode(record.value or b"", Delivery) for record in records]


def unseen(deliveries: Sequence[Delivery], seen: dict[str, set[str]]) -> list[Delivery]:
    """Deliveries whose id no request bore, whole or in part, though some member has no later one."""
    latest: dict[tuple[str, str], int] = {}
    for one in deliveries:
        for member in one.members:
            key = one.activation_id, member
            latest[key] = max(latest.get(key, -1), one.sequence)
    whole = {activation: ids | {one.rpartition(".")[0] for one in ids} for activation, ids in seen.items()}
    return [
        one
        for one in deliveries
        if one.delivery_id not in whole[one.activation_id]
        and any(latest[one.activation_id, member] == one.sequence for member in one.members)
    ]

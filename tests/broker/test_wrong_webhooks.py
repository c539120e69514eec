"""Webhooks that misbehave, all at once beside a good one: what is sent, what the activation says, who else waits."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from contracts import codec, codes
from contracts.codes import Code
from contracts.messages.published import ActivationStatus
from services.tools.receiver import Behaviour, Receiver, serving
from tests.broker.space import Space, named
from tests.broker.system import SECRET, SECRET_REFERENCE, System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

MEMBERS = 40
LANES = 2
FOR_EVER = None


@dataclass(frozen=True)
class Wrong:
    """How a webhook answers, `times` over all lanes; the code that its activation shows; and in which state it waits.

    `refused`: everything goes to dead letters. `state` None: it comes round by itself. Else it is put right by its
    owner, and nothing is lost.
    """

    behaviour: Behaviour
    times: int | None = LANES
    code: Code = codes.DELIVERY_UNAVAILABLE
    state: str | None = None
    refused: bool = False


WRONG = {
    "500": Wrong(Behaviour(status=500)),
    "503 after it took effect": Wrong(Behaviour(status=503, applied=True)),
    "429": Wrong(Behaviour(status=429, headers={"Retry-After": "1"})),
    "429 with nonsense": Wrong(Behaviour(status=429, headers={"Retry-After": "soon"})),
    "garbage": Wrong(Behaviour(garbage=True)),
    "nothing": Wrong(Behaviour(cut=True)),
    "slowly": Wrong(Behaviour(delay_seconds=2.5)),
    "401": Wrong(Behaviour(status=401), FOR_EVER, codes.DELIVERY_AUTHENTICATION, "parked"),
    "410": Wrong(Behaviour(status=410), FOR_EVER, codes.DELIVERY_DESTINATION_GONE, "disabled"),
    "302": Wrong(
        Behaviour(status=302, headers={"Location": "GOOD"}), FOR_EVER, codes.DELIVERY_REDIRECTED, refused=True
    ),
    "413": Wrong(Behaviour(status=413), FOR_EVER, codes.DELIVERY_PERMANENT, refused=True),
}


class Webhooks:
    """One receiver, one destination and one activation of the same audience for each name."""

    def __init__(self, space: Space, receivers: dict[str, Receiver]) -> None:
        self.space = space
        self.receivers = receivers

    def status(self, name: str) -> ActivationStatus | None:
        return self.space.observed.activations.get(self.space.observed.id_of("activation", name))

    def members(self, name: str) -> set[str]:
        return set(self.receivers[name].received.members(self.space.observed.id_of("activation", name)))

    async def settled(self, names: Sequence[str]) -> dict[str, ActivationStatus]:
        """The statuses, once nothing is pending."""

        def all_settled() -> bool:
            return all(self.space.delivered(name, changes=MEMBERS) for name in names)

        await self.space.until(f"{len(names)} webhooks have all", all_settled)
        return {name: status for name in names if (status := self.status(name)) is not None}


@pytest_asyncio.fixture(loop_scope="session")
async def webhooks(space: Space) -> AsyncIterator[Webhooks]:
    async with AsyncExitStack() as opened:
        receivers = {name: Receiver(secrets=[SECRET]) for name in ("good", *WRONG)}
        urls = {name: await opened.enter_async_context(serving(one)) for name, one in receivers.items()}
        await space.audiences("a")
        for name, url in urls.items():
            settings = {"url": f"{url}/hook", "timeout_seconds": 1.0}
            secrets = {"signing": SECRET_REFERENCE}
            await space.destination(name, url, settings=settings, secrets=secrets)
            await space.send("activations.create", {"name": name, "audience": "a", "destination": name})
        for name, wrong in WRONG.items():
            located = {header: value.replace("GOOD", f"{urls['good']}/hook")
                       for header, value in wrong.behaviour.headers.items()}  # fmt: skip
            receivers[name].behave([replaced(wrong, located)])
        yield Webhooks(space, receivers)


def replaced(wrong: Wrong, headers: dict[str, str]) -> Behaviour:
    return msgspec.structs.replace(wrong.behaviour, headers=headers, times=wrong.times)


async def test_each_is_seen_and_the_good_one_waits_for_nobody(webhooks: Webhooks, system: System) -> None:
    space = webhooks.space
    members = named(range(MEMBERS))
    await space.send("members.add", {"audience": "a", "identifiers": sorted(members)})

    await webhooks.settled(["good"])
    assert webhooks.members("good") == members
    waiting = [name for name, wrong in WRONG.items() if wrong.state is not None]
    for name in waiting:
        await space.until(f"{name} is {WRONG[name].state}", partial(waits, webhooks, name))
        assert not webhooks.members(name)
    for name in waiting:  # their owners act
        webhooks.receivers[name].behave([])
        await space.send("destinations.update", {"destination": name, "external_ids": {"owner": name}})

    for name, status in (await webhooks.settled(list(WRONG))).items():
        wrong, got = WRONG[name], webhooks.receivers[name].received.counters
        counters = status.counters
        sent = (0, MEMBERS) if wrong.refused else (MEMBERS, 0)
        assert (counters.delivered, counters.dead_lettered) == sent, name
        assert webhooks.members(name) == (set() if wrong.refused else members), name
        assert (got["conflicts"], got["refused"]) == (0, 0), name
        if wrong.state is not None or wrong.refused:
            assert status.last_error is not None, name
            assert status.last_error.code == wrong.code.code, name
        assert status.state == "running", name
    letters = sorted(space.letter_codes())
    assert set(letters) == {wrong.code.code for wrong in WRONG.values() if wrong.refused}
    assert {codec.header(one.headers, "dlq-service") for one in space.letters} == {"activation"}
    assert webhooks.receivers["good"].received.counters["deliveries"] == len(space.changes)  # nothing was redirected
    assert webhooks.receivers["503 after it took effect"].received.counters["repeated_messages"] == LANES


def waits(webhooks: Webhooks, name: str) -> bool:
    status = webhooks.status(name)
    return status is not None and status.state == WRONG[name].state


async def test_a_destination_deleted_while_it_is_down_ends_the_waiting(
    space: Space, receiver: tuple[Receiver, str]
) -> None:
    got, url = receiver
    got.behave([Behaviour(status=503, times=None)])
    await space.audiences("a")
    await space.destination("d", url)
    await space.send("activations.create", {"name": "x", "audience": "a", "destination": "d"})
    await space.send("members.add", {"audience": "a", "identifiers": ["u1"]})
    await space.until("it was tried", lambda: got.misbehaved > 0)
    activation = space.observed.id_of("activation", "x")

    await space.send("activations.delete", {"activation": "x"})
    await space.send("connections.delete", {"id": await only_connection(space)})
    await space.send("destinations.delete", {"destination": "d"})

    await space.until("it is given up", lambda: space.observed.activations[activation].counters.dead_lettered == 1)
    assert space.letter_codes() == [codes.DELIVERY_DESTINATION_UNKNOWN.code]
    assert space.observed.activations[activation].counters.pending == 0


async def test_what_was_refused_is_sent_again_as_it_stands_now(
    space: Space, receiver: tuple[Receiver, str], key: tuple[Path, str]
) -> None:
    got, url = receiver
    got.behave([Behaviour(status=413, times=None)])
    await space.audiences("a")
    await space.send(
        "principals.create", {"name": "planner", "permissions": ["activations:manage"], "public_keys": [key[1]]}
    )
    await space.destination("d", url, secrets={"signing": SECRET_REFERENCE})
    await space.send("activations.create", {"name": "x", "audience": "a", "destination": "d"})
    await space.send("members.add", {"audience": "a", "identifiers": ["u1", "u2", "u3"]})
    await space.until("all are refused", lambda: space.delivered("x", changes=3))
    got.behave([])
    await space.send("members.remove", {"audience": "a", "identifiers": ["u2"]})
    await space.until("the exit is delivered", lambda: space.delivered("x", changes=4))
    which = ("--space", space.name, "--reason", codes.DELIVERY_PERMANENT.code, "--since", "2026-01-01")

    listed = await space.system.usher("dead-letters", "list", *which, "--json")
    to = ("--topic", "open.commands.v1")
    unsigned = await space.system.usher("dead-letters", "redrive", *which, *to)
    signed_by = ("--principal", "planner", "--key", str(key[0]))
    done = await space.system.usher("dead-letters", "redrive", *which, *to, *signed_by)
    await space.until("all are told again", lambda: space.delivered("x", changes=7))

    assert sum(json.loads(line)["members"] for line in listed.stdout.splitlines()) == 3
    assert "u1" not in listed.stdout
    assert unsigned.returncode == 1
    assert codes.AUTHORIZATION_REQUIRED.code in unsigned.stdout
    assert done.returncode == 0, done.stdout + done.stderr
    activation = space.observed.id_of("activation", "x")
    assert set(got.received.members(activation)) == {"u1", "u3"}
    counters = space.observed.activations[activation].counters
    assert (counters.delivered, counters.dead_lettered) == (4, 3)
    nothing = await space.system.usher("dead-letters", "redrive")
    assert nothing.returncode == 1
    assert "say which" in nothing.stderr


async def only_connection(space: Space) -> str:
    await space.catch_up()
    (name,) = space.observed.names("connection")
    return space.observed.id_of("connection", name)

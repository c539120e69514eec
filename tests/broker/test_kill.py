"""`kill -9` during a play, of each service and of the broker: the same sizes, the same changes, the same receiver.

One scenario is played in several spaces. All ids are functions of the space and the step, so what an undisturbed play
publishes and what a disturbed one does must be equal, record by record.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio

from contracts import catalog, codec
from contracts.messages.published import Change, Import
from contracts.records import Record
from deploy.local.session import Broker
from services.client import Follower
from services.tools.observed import Observed
from services.tools.play import play
from services.tools.playing import DeliverTo, Played
from services.tools.receiver import Receiver, serving
from services.tools.scenario import read_scenario
from services.tools.topics import SERVICES
from tests.broker.system import SECRET, SECRET_REFERENCE, System, eventually

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

# Files large enough to be killed in the middle of, commands, expiry, composition, and an audience that is deleted.
SCENARIO = """
name: a play that is disturbed
space: SPACE
start: 2026-03-01
audiences:
  - {name: buyers, kind: list, id_type: kuid}
  - {name: visitors, kind: list, id_type: kuid}
  - {name: optout, kind: list, id_type: kuid}
  - {name: anyone, kind: composed, expression: {or: [{audience: buyers}, {audience: visitors}]}}
  - {name: reachable, kind: composed, expression: {and: [{audience: anyone}, {not: {audience: optout}}]}}
feeds:
  - {name: full, prefix: SPACE/full/, mode: replace, id_type: kuid, format: caret}
  - {name: incr, prefix: SPACE/incr/, mode: append, lookback_days: 3, id_type: kuid, format: tab}
days:
  - day: 1
    uploads:
      - {feed: full, rows: {buyers: "1..6000", visitors: "4001..10000"}, gzip: true}
    expect: {buyers: 6000, visitors: 6000, anyone: 10000, reachable: 10000}
  - day: 2
    commands:
      - {type: members.add, data: {items: [{audience: optout, identifiers: [u000001, u004100, u010000]}]}}
    uploads:
      - {feed: incr, rows: {visitors: "10001..12000"}}
      - {feed: full, rows: {buyers: "3001..9000"}}
    expect: {buyers: 6000, visitors: 8000, anyone: 9000, reachable: 8998, optout: 3}
  - day: 5
    commands:
      - {type: members.remove, data: {items: [{audience: optout, identifiers: [u010000]}]}}
    expect: {buyers: 6000, visitors: 0, anyone: 6000, reachable: 5999}
    expect_members: {buyers: "3001..9000"}
"""
KILLS = 2
Contents = dict[str, tuple[str, str, tuple[str, ...]]]


@dataclass
class Outcome:
    """What a play left behind: the account, the changes by id, and what the receiver was told."""

    played: Played
    changes: Contents
    members: dict[str, set[str]]
    receiver: Receiver
    activations: dict[str, str]  # name of the audience → activation


class Watch:
    """Sees what goes on in one space: imports that are being read, changes, and requests at the receiver.

    Whoever disturbs it sets `struck` with the last blow: what comes back may end the play before it says it is ready.
    """

    def __init__(self, space: str, receiver: Receiver) -> None:
        self.struck = False
        self._space = space
        self._receiver = receiver
        self._records = 0

    def sink(self, record: Record) -> None:
        if codec.header(record.headers, "ce_spaceid") == self._space:
            self._records += (
                record.topic == catalog.CHANGES or codec.decode(record.value or b"", Import).state == "reading"
            )

    async def movement(self, service: str = "") -> None:
        """Returns in the midst of the next of these; of activation only a request is a sign."""
        before = self._seen(service)

        async def moved() -> bool:
            return self._seen(service) > before

        await eventually("something moves", moved)

    def _seen(self, service: str) -> int:
        requests = self._receiver.received.counters["requests"]
        return requests if service == "activation" else requests + self._records


async def play_in(system: System, space: str, disturb: Callable[[Watch], Awaitable[None]] | None = None) -> Outcome:
    """Plays the scenario in a new space while `disturb` does what it does; it must strike within the play."""
    receiver = Receiver(secrets=[SECRET])
    watch = Watch(space, receiver)
    follower = await Follower.open(system.log, [catalog.CHANGES, catalog.IMPORTS], watch.sink, from_end=True)
    scenario = read_scenario(SCENARIO.replace("SPACE", space).encode())
    async with serving(receiver) as url, asyncio.TaskGroup() as tasks:
        following = tasks.create_task(_follow(follower))
        if disturb is not None:
            tasks.create_task(_disturb(disturb(watch)))
        target = DeliverTo(f"{url}/hook", SECRET_REFERENCE)
        played = await play(system.log, system.objects, system.bucket, scenario, deliver_to=target)
        assert disturb is None or watch.struck, (
            f"the play was over before it was disturbed as planned: {played.trouble}"
        )
        following.cancel()
    await follower.close()
    return await _outcome(system, played, receiver)


async def _disturb(disturbing: Awaitable[None]) -> None:
    await disturbing


async def _follow(follower: Follower) -> None:
    while True:
        await follower.pump()


async def _outcome(system: System, played: Played, receiver: Receiver) -> Outcome:
    observed = Observed(played.space, keep_members=True)
    changes: list[tuple[str, Change]] = []

    def sink(record: Record) -> None:
        observed.sink(record)
        if codec.header(record.headers, "ce_type") in {"audience.entered", "audience.exited"}:
            change = codec.decode(record.value or b"", Change)
            if change.space_id == played.space:
                changes.append((codec.header(record.headers, "ce_id") or "", change))

    topics = [catalog.CATALOGUE, catalog.CHANGES, catalog.ACTIVATIONS]
    follower = await Follower.open(system.log, topics, sink, from_end=False)
    await follower.catch_up()
    await follower.close()
    names = {observed.id_of("audience", name): name for name in observed.names("audience")}
    contents: Contents = {
        id_.removeprefix(f"{played.space}."): (names[one.audience_id], one.change, tuple(one.members))
        for id_, one in changes
    }
    assert len(contents) == len(changes), "an id of a change is there twice"
    return Outcome(
        played,
        contents,
        {name: observed.members[audience_id] for audience_id, name in names.items()},
        receiver,
        {names[one.audience_id]: one.activation_id for one in observed.activations.values()},
    )


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def undisturbed(system: System) -> Outcome:
    return await play_in(system, "undisturbed")


async def held_together(system: System, outcome: Outcome, undisturbed: Outcome) -> None:
    """All that must be the same, whatever was killed."""
    assert outcome.played.trouble is None
    assert [check for check in outcome.played.checks if not check.ok] == []
    assert sorted(outcome.changes) == sorted(undisturbed.changes)
    assert sorted(outcome.changes.values()) == sorted(undisturbed.changes.values())
    got = outcome.receiver.received
    assert got.counters["conflicts"] == 0
    for audience, activation in outcome.activations.items():
        assert set(got.members(activation)) == outcome.members[audience]
    assert await system.broken_promises() == []


async def test_undisturbed(system: System, undisturbed: Outcome) -> None:
    await held_together(system, undisturbed, undisturbed)
    assert len(undisturbed.changes) > 50
    assert undisturbed.receiver.received.counters["repeated_deliveries"] == 0


@pytest.mark.parametrize("service", SERVICES)
async def test_a_killed_service_changes_nothing(system: System, undisturbed: Outcome, service: str) -> None:
    async def kill(watch: Watch) -> None:
        for blow in range(KILLS):
            await watch.movement(service)
            await system.kill(service)
            watch.struck = blow + 1 == KILLS
            await system.start(service)
            if watch.struck or service != "activation":  # which may send all that is left before it says it is ready
                await system.ready(service)

    outcome = await play_in(system, f"killed-{service}", kill)

    await held_together(system, outcome, undisturbed)


async def test_a_killed_broker_changes_nothing(system: System, undisturbed: Outcome, broker: Broker) -> None:
    async def kill(watch: Watch) -> None:
        await watch.movement()
        await asyncio.to_thread(broker.kill)
        watch.struck = True
        await asyncio.to_thread(broker.restart)
        await system.ready()

    outcome = await play_in(system, "killed-broker", kill)

    await held_together(system, outcome, undisturbed)

"""The bundled scenarios, day by day with exact sizes, delivered to a receiver that ends with the same members.

They are played side by side, each in a space of its own: no space disturbs another.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import pytest
import pytest_asyncio

from services.tools.play import play
from services.tools.playing import DeliverTo, Played
from services.tools.receiver import Receiver, serving
from services.tools.scenario import Scenario, read_scenario
from tests.broker.system import SECRET, SECRET_REFERENCE, System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

FILES = sorted((Path(__file__).parents[1] / "scenarios").glob("*.yaml"))
SMALLER = {"1000000": "20000", "500000": "10000", "500001": "10001"}  # the demo plays the million


def scenario_of(file: Path) -> Scenario:
    """The scenario, of a size that a test can bear."""
    text = file.read_text()
    for large, smaller in SMALLER.items():
        text = text.replace(large, smaller)
    return read_scenario(text.encode())


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def played(system: System) -> Mapping[str, tuple[Played, Receiver]]:
    """What came of each scenario, by the name of its file."""

    async def deliver(file: Path) -> tuple[Played, Receiver]:
        receiver = Receiver(secrets=[SECRET])
        async with serving(receiver) as url:
            target = DeliverTo(f"{url}/hook", SECRET_REFERENCE)
            scenario = scenario_of(file)
            return await play(system.log, system.objects, system.bucket, scenario, deliver_to=target), receiver

    return dict(zip((file.stem for file in FILES), await asyncio.gather(*map(deliver, FILES)), strict=True))


@pytest.mark.parametrize("name", [file.stem for file in FILES])
async def test_a_bundled_scenario(system: System, played: Mapping[str, tuple[Played, Receiver]], name: str) -> None:
    account, receiver = played[name]
    assert account.trouble is None
    assert [check for check in account.checks if not check.ok] == []
    assert receiver.received.counters["conflicts"] == 0
    sizes = receiver.received.sizes()
    assert {one.activation_id: sizes.get(one.activation_id, 0) for one in account.sent} == {
        one.activation_id: one.size for one in account.sent
    }
    assert all(one.published == one.delivered + one.merged for one in account.sent)


async def test_and_every_promise_was_kept(system: System, played: Mapping[str, tuple[Played, Receiver]]) -> None:
    assert await system.broken_promises() == []

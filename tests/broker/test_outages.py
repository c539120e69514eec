"""Faults that take minutes: not in `make test`.

`make outages`, or `OUTAGE_SECONDS=300 pytest tests/broker/test_outages.py`: how long the broker is away. What needs
several brokers stands in `test_cluster.py`, and runs with these.
"""

import asyncio
import os
import time
from collections.abc import Callable
from typing import Final

import pytest

from deploy.local.session import Broker
from services.tools.topics import SERVICES
from tests.broker.chaos_nemesis import pass_by
from tests.broker.space import Space, named, rows
from tests.broker.system import System

SECONDS: Final = int(os.environ.get("OUTAGE_SECONDS") or 0)
CORES_MAX: Final = 0.05  # of a service that waits
LINES_A_SECOND_MAX: Final = 2.0

pytestmark = [
    pytest.mark.broker,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(SECONDS + 900),
    pytest.mark.skipif(not SECONDS, reason="takes minutes: make outages"),
]


@pytest.fixture
def say(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """What was seen, for whoever runs this."""
    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    assert reporter is not None

    def write(line: str) -> None:
        with capsys.disabled():
            reporter.write_line(line)

    return write


async def test_nobody_ends_or_spins_while_the_broker_is_away(
    space: Space, system: System, broker: Broker, say: Callable[[str], None]
) -> None:
    await space.audiences("a")
    await space.feed("full")
    await space.put_and_import("full/before", rows("a", range(1_000)))
    await asyncio.to_thread(broker.kill)
    began = time.monotonic()
    await system.kill("control")
    await system.start("control")  # one that has not seen the broker yet
    announced = await space.put("full/meanwhile", rows("a", range(500, 1_500)))
    await pass_by(min(30, SECONDS / 3))  # requests that were under way end
    watched, cpu, lines = time.monotonic(), await spent(system), told(system)
    while time.monotonic() < began + SECONDS:
        await pass_by(5)
        for service in SERVICES:
            assert (await system.answer(service, "/livez"))[0] == 200, f"{service} would be restarted"
    seconds = time.monotonic() - watched
    cores = {service: (after - cpu[service]) / seconds for service, after in (await spent(system)).items()}
    rates = {service: (after - lines[service]) / seconds for service, after in told(system).items()}
    say(f"away for {time.monotonic() - began:.0f} s: cores {cores}, lines a second {rates}")
    assert not system.ended()

    await asyncio.to_thread(broker.restart)
    assert (await space.ended(announced)).state == "applied"
    assert space.members("a") == named(range(500, 1_500))
    await system.ready()
    assert max(cores.values()) < CORES_MAX, cores
    assert max(rates.values()) < LINES_A_SECOND_MAX, rates


async def spent(system: System) -> dict[str, float]:
    """CPU seconds of each service."""
    return {service: await system.metric(service, "process_cpu_seconds_total") for service in SERVICES}


def told(system: System) -> dict[str, int]:
    """How many lines each has logged."""
    return {service: system.log_of(service).count("\n") for service in SERVICES}

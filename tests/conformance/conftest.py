"""Every test of this folder runs over the memory log and over a real Kafka."""

from collections.abc import AsyncIterator

import pytest

from deploy.local.state import StackState
from services.runtime.log import Log
from tests.conformance.harness import KafkaHarness, LogHarness, MemoryHarness


@pytest.fixture(params=["memory", pytest.param("kafka", marks=pytest.mark.broker)])
async def harness(request: pytest.FixtureRequest) -> AsyncIterator[LogHarness]:
    made: LogHarness
    if request.param == "kafka":
        stack: StackState = request.getfixturevalue("stack")
        made = KafkaHarness(stack.kafka_bootstrap_servers)
    else:
        made = MemoryHarness()
    yield made
    await made.close()


@pytest.fixture
def log(harness: LogHarness) -> Log:
    """The first process."""
    return harness.connect("first")

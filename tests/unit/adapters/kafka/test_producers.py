"""What a call asks the broker before it writes: as much at once for a thousand topics as for one."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import cast

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin.config_resource import ConfigResource

from contracts.records import Out
from services.adapters.kafka.producers import Writer
from services.adapters.kafka.settings import KafkaSettings
from services.adapters.kafka.topics import KafkaTopics
from services.adapters.topic_form import MESSAGE_BYTES

SETTINGS = KafkaSettings(bootstrap_servers="127.0.0.1:1", prefix="usher")
NAMES = [f"t{n}" for n in range(1_000)]


class Broker:
    """Counts the questions. Like aiokafka it asks once for all topics that were named since it asked last."""

    def __init__(self) -> None:
        self.client = self
        self.questions = 0
        self._named: set[str] = set()
        self._known: set[str] = set()

    def add_topic(self, topic: str) -> None:
        self._named.add(topic)

    async def partitions_for(self, topic: str) -> set[int]:
        self._named.add(topic)
        if topic not in self._known:
            self.questions += 1
            self._known |= self._named
        return {0, 1}

    async def describe_configs(self, resources: Sequence[ConfigResource]) -> list[SimpleNamespace]:
        self.questions += 1
        return [SimpleNamespace(resources=[(0, "", 2, one.name, [(MESSAGE_BYTES, "1000")]) for one in resources])]


async def test_many_topics_are_asked_about_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    broker, topics = Broker(), KafkaTopics(SETTINGS)

    async def admin() -> Broker:
        return broker

    monkeypatch.setattr(topics, "_admin", admin)
    writer = Writer(SETTINGS, topics, cast("AIOKafkaProducer", broker), transactional=False)

    batches = await writer.pack([Out(name, b"k", b"v") for name in NAMES])

    assert {place.topic for place in batches} == set(NAMES)
    assert broker.questions == 2
    await writer.pack([Out(name, b"k", b"v") for name in NAMES])
    assert broker.questions == 2

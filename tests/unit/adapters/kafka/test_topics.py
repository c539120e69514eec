"""Committed offsets as the coordinator answers them: an error is never taken for a group without offsets."""

from types import SimpleNamespace

import pytest
from aiokafka import errors as kafka

from contracts.records import TopicPartition
from services.adapters.kafka.offset_forms import UNSTABLE_OFFSET_COMMIT
from services.adapters.kafka.settings import KafkaSettings
from services.adapters.kafka.topics import KafkaTopics

SETTINGS = KafkaSettings(bootstrap_servers="127.0.0.1:1", prefix="usher")


def test_offsets_are_ours_and_absent_where_nothing_was_committed() -> None:
    partitions: list[object] = [(0, 7, 3, "", 0, {}), (1, -1, -1, "", 0, {})]
    answer = SimpleNamespace(error_code=0, topics=[("usher.t", partitions, {}), ("usher.u", [], {})])
    assert KafkaTopics(SETTINGS)._offsets_of(answer) == {TopicPartition("t", 0): 7}


@pytest.mark.parametrize(("code", "expected"), [(14, kafka.GroupLoadInProgressError), (16, kafka.NotCoordinatorError)])
def test_an_error_on_top_is_raised(code: int, expected: type[kafka.KafkaError]) -> None:
    """Kafka sends no topics with it: aiokafka's own `committed` would answer that there are no offsets."""
    with pytest.raises(expected):
        KafkaTopics(SETTINGS)._offsets_of(SimpleNamespace(error_code=code, topics=[]))


def test_an_error_of_one_partition_is_raised() -> None:
    answer = SimpleNamespace(error_code=0, topics=[("usher.t", [(0, -1, -1, "", 29, {})], {})])
    with pytest.raises(kafka.TopicAuthorizationFailedError):
        KafkaTopics(SETTINGS)._offsets_of(answer)


def test_an_undecided_offset_is_asked_for_again() -> None:
    answer = SimpleNamespace(error_code=0, topics=[("usher.t", [(0, -1, -1, "", UNSTABLE_OFFSET_COMMIT, {})], {})])
    with pytest.raises(kafka.KafkaError) as raised:
        KafkaTopics(SETTINGS)._offsets_of(answer)
    assert raised.value.retriable

"""A spec as broker settings and back."""

import pytest

from contracts.catalog import TopicSpec
from services.adapters.topic_form import topic_differences, topic_settings

DELETED = TopicSpec(name="t", partitions=2, cleanup="delete", retention_ms=1000, max_message_bytes=99)
COMPACTED = TopicSpec(name="t", partitions=2, cleanup="compact", retention_ms=-1, max_message_bytes=99)


@pytest.mark.parametrize("spec", [DELETED, COMPACTED])
def test_a_topic_made_by_its_spec_differs_in_nothing(spec: TopicSpec) -> None:
    assert topic_differences(spec, 2, topic_settings(spec)) == []


def test_only_compacted_topics_are_tuned() -> None:
    assert set(topic_settings(COMPACTED)) - set(topic_settings(DELETED)) == {
        "min.cleanable.dirty.ratio",
        "segment.ms",
        "segment.bytes",
    }


def test_every_difference_is_named_with_both_values() -> None:
    assert topic_differences(COMPACTED, 3, topic_settings(DELETED) | {"max.message.bytes": "1"}) == [
        "partitions is 3, not 2",
        "cleanup.policy is delete, not compact",
        "retention.ms is 1000, not -1",
        "max.message.bytes is 1, not 99",
    ]


def test_tuning_is_the_operators() -> None:
    assert topic_differences(COMPACTED, 2, topic_settings(COMPACTED) | {"segment.ms": "1"}) == []


def test_a_setting_that_the_broker_does_not_name_differs() -> None:
    assert "retention.ms is None, not -1" in topic_differences(COMPACTED, 2, {})


@pytest.mark.parametrize(
    ("replicas", "in_sync", "expected"),
    [
        (1, "1", []),
        (2, "1", []),
        (3, "1", ["min.insync.replicas is 1, less than 2"]),
        (3, "2", []),
        (3, "3", []),
        (4, "1", ["min.insync.replicas is 1, less than 2"]),
    ],
)
def test_what_is_acknowledged_outlives_a_broker(replicas: int, in_sync: str, expected: list[str]) -> None:
    settings = topic_settings(DELETED) | {"min.insync.replicas": in_sync}

    assert topic_differences(DELETED, 2, settings, replicas=replicas) == expected
    assert topic_differences(DELETED, 2, topic_settings(DELETED, replicas=replicas), replicas=replicas) == []

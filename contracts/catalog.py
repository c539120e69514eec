"""The topics: their names and the pages that describe them (`topics/*.toml`).

Names here carry no prefix; the Kafka adapter puts `USHER_TOPIC_PREFIX` before them.
"""

import tomllib
from functools import cache
from pathlib import Path
from typing import Final, Literal

import msgspec

OBJECTS: Final = "objects.v1"
COMMANDS: Final = "commands.v1"
REPLIES: Final = "replies.v1"
CATALOGUE: Final = "catalogue.v1"
IMPORTS: Final = "imports.v1"
CHANGES: Final = "membership.changes.v1"
SIZES: Final = "membership.sizes.v1"
ACTIVATIONS: Final = "activations.v1"
AUDIT: Final = "audit.v1"
DEAD_LETTERS: Final = "dead-letters.v1"
INPUT: Final = "membership.input.v1"
RESULTS: Final = "membership.results.v1"
INTAKE_EVENTS: Final = "intake.events.v1"
INTAKE_REQUESTS: Final = "intake.requests.v1"
CONTROL_STATE: Final = "control.state.v1"
ROUTER_STATE: Final = "activation.state.v1"
OUTCOMES: Final = "delivery.outcomes.v1"
RECEIPTS: Final = "delivery.receipts.v1"
VERIFICATIONS: Final = "delivery.verifications.v1"
DELIVERIES: Final = "deliveries.v1"  # a pattern page: see `queue_topic`
FEED_TOPICS: Final = "feed-topics.v1"  # a pattern page: whatever topics the feeds name
PATTERN_PAGES: Final = frozenset({DELIVERIES, FEED_TOPICS})  # no topic has such a name

PartitionSetting = Literal["control", "membership", "intake", "deliveries"]


class TopicPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One page of `topics/`. `retention_hours` -1 is unlimited; `also` are the topic's other messages, by `ce_type`."""

    purpose: str
    key: str
    message: str
    partitions: PartitionSetting
    cleanup: Literal["delete", "compact"]
    retention_hours: int
    max_message_bytes: int
    writers: list[str]
    readers: list[str]
    dead_letters: bool
    public: bool
    also: list[str] = []


class TopicSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a topic must be on the broker. `name` carries no prefix."""

    name: str
    partitions: int
    cleanup: str
    retention_ms: int
    max_message_bytes: int


@cache
def topic_pages() -> dict[str, TopicPage]:
    """All pages by topic name."""
    folder = Path(__file__).parent / "topics"
    return {
        path.name.removesuffix(".toml"): msgspec.convert(tomllib.loads(path.read_text()), TopicPage)
        for path in sorted(folder.glob("*.toml"))
    }


def topic_spec(name: str, partitions: int, *, page: str | None = None) -> TopicSpec:
    """The spec of topic `name` by its page (or by the page of another name, for delivery queues)."""
    described = topic_pages()[page or name]
    hours = described.retention_hours
    return TopicSpec(
        name=name,
        partitions=partitions,
        cleanup=described.cleanup,
        retention_ms=hours * 3_600_000 if hours >= 0 else -1,
        max_message_bytes=described.max_message_bytes,
    )


def queue_topic(queue: str) -> str:
    """The topic of a delivery queue."""
    return f"deliveries.{queue}.v1"


def queue_of(topic: str) -> str:
    """The key of the delivery queue whose topic this is."""
    return topic.removeprefix("deliveries.").removesuffix(".v1")


QUEUE_PATTERN: Final = r"deliveries\.[a-z0-9_-]+\.v1"

"""What a control shard has to be told."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from contracts import catalog
from contracts.access import OPERATOR
from contracts.codes import Code
from contracts.records import Out, Record
from services.domain.catalogue.connectors import Connectors

DeadLetter = Callable[[Record, Code, str], Out]
"""Makes the dead letter of a record, with a code and a detail that holds no identifiers."""

CommandSenders = Mapping[str, str | None]
"""By command topic, the principal whom its access rights stand for; None: nobody, its commands must be signed."""
OPERATOR_ONLY: Final[CommandSenders] = {catalog.COMMANDS: OPERATOR}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardConfig:
    """Partition counts are those of the topics; the rest bounds what a space may make control remember."""

    shard: int
    control_partitions: int
    membership_partitions: int
    intake_partitions: int
    delivery_partitions: int
    verification_partitions: int
    dead_letter: DeadLetter
    connectors: Connectors = field(default_factory=dict)
    topic_prefix: str = "usher"  # of usher's own topics, before the dot
    command_senders: CommandSenders = field(default_factory=lambda: OPERATOR_ONLY)
    reply_topics: Mapping[str, str] = field(default_factory=dict)  # by command topic, where it is another one
    attempts_max: int = 3
    reading_deadline_ms: int = 300_000  # from request, or its last progress, to staged on all partitions
    retry_delays_ms: tuple[int, ...] = (1_000, 10_000)  # after the first failed attempt, after each later one
    verification_ms: int = 60_000  # how long a destination may take to be verified, until nobody waits any more
    replies_keep_ms: int = 86_400_000  # contracts.md §3
    replies_max: int = 10_000
    reply_bytes_max: int = 15 << 20  # a record of the replies takes 16 MiB
    patch_bytes_max: int = 15 << 20  # and so does one of the membership input
    reply_packed_bytes_max: int = 700_000  # a record of control.state takes 1 MiB, base64 adds a third
    marker_grace_ms: int = 2_000  # after a marker: stores announce in any order
    parts_bytes_max: int = 700_000  # some 2,000 objects: a record of the requests takes 1 MiB
    hold_keep_ms: int = 72 * 3_600_000  # by the time of the space: long enough for a weekend
    behind_max: int = 100  # imports that wait behind a held one; membership keeps their rows
    objects_keep_ms: int = 30 * 86_400_000  # twice what SQS keeps an unread notification
    objects_max: int = 100_000

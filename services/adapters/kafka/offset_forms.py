"""Two message forms that aiokafka does not have: offsets in a transaction by a member, and offsets that are decided.

TxnOffsetCommit 3 names the member (KIP-447), OffsetFetch 7 can ask for stable offsets. Both are "flexible": compact
types, and tagged fields at the end of every struct. Sent by `memberships` and `topics`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from aiokafka import TopicPartition
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Int64, Schema, TaggedFields

from services.runtime.log import Membership

_TEXT: Final = CompactString("utf-8")
_TAGS: Final = ("tags", TaggedFields)
_NO_TAGS: Final[dict[int, bytes]] = {}
_NO_LEADER_EPOCH: Final = -1


FENCED_INSTANCE_ID: Final = 82
UNSTABLE_OFFSET_COMMIT: Final = 88


def _by_topic(*fields: tuple[str, Any]) -> CompactArray:
    """[(topic, [(*fields, tags)], tags)]."""
    return CompactArray(("name", _TEXT), ("partitions", CompactArray(*fields, _TAGS)), _TAGS)


class _TxnOffsetCommitResponse3(Response):  # type: ignore[misc] # aiokafka ships no types
    API_KEY = 28
    API_VERSION = 3
    SCHEMA = Schema(
        ("throttle_time_ms", Int32), ("topics", _by_topic(("partition", Int32), ("error_code", Int16))), _TAGS
    )


class _TxnOffsetCommit3(RequestStruct):  # type: ignore[misc] # aiokafka ships no types
    FLEXIBLE_VERSION = True
    API_KEY = 28
    API_VERSION = 3
    RESPONSE_TYPE = _TxnOffsetCommitResponse3
    SCHEMA = Schema(
        ("transactional_id", _TEXT),
        ("group_id", _TEXT),
        ("producer_id", Int64),
        ("producer_epoch", Int16),
        ("generation_id", Int32),
        ("member_id", _TEXT),
        ("group_instance_id", _TEXT),
        ("topics", _by_topic(("partition", Int32), ("offset", Int64), ("leader_epoch", Int32), ("metadata", _TEXT))),
        _TAGS,
    )


class TxnOffsetCommitByMember(Request[_TxnOffsetCommit3]):  # type: ignore[misc] # aiokafka ships no types
    """Offsets for a transaction, by a member; `producer` is its id and epoch."""

    API_KEY = 28

    def __init__(
        self,
        transactional_id: str,
        group: str,
        producer: tuple[int, int],
        membership: Membership,
        offsets: Mapping[TopicPartition, int],
    ) -> None:
        self._head = (transactional_id, group, *producer)
        self._member = (membership.generation, membership.member_id, membership.instance_id)
        self._offsets = offsets

    def build(self, request_struct_class: type[_TxnOffsetCommit3]) -> _TxnOffsetCommit3:
        topics: dict[str, list[tuple[Any, ...]]] = {}
        for (topic, partition), offset in self._offsets.items():
            topics.setdefault(topic, []).append((partition, offset, _NO_LEADER_EPOCH, "", _NO_TAGS))
        named = [(topic, partitions, _NO_TAGS) for topic, partitions in topics.items()]
        return request_struct_class(*self._head, *self._member, named, _NO_TAGS)


class _OffsetFetchResponse7(Response):  # type: ignore[misc] # aiokafka ships no types
    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            _by_topic(
                ("partition", Int32),
                ("offset", Int64),
                ("leader_epoch", Int32),
                ("metadata", _TEXT),
                ("error_code", Int16),
            ),
        ),
        ("error_code", Int16),
        _TAGS,
    )


class _OffsetFetch7(RequestStruct):  # type: ignore[misc] # aiokafka ships no types
    FLEXIBLE_VERSION = True
    API_KEY = 9
    API_VERSION = 7
    RESPONSE_TYPE = _OffsetFetchResponse7
    SCHEMA = Schema(
        ("group", _TEXT),
        ("topics", CompactArray(("name", _TEXT), ("partitions", CompactArray(Int32)), _TAGS)),
        ("require_stable", Boolean),
        _TAGS,
    )


class StableOffsetFetch(Request[_OffsetFetch7]):  # type: ignore[misc] # aiokafka ships no types
    """A group's committed offsets; `UNSTABLE_OFFSET_COMMIT` for those that an open transaction may yet replace."""

    API_KEY = 9

    def __init__(self, group: str, topics: Mapping[str, Sequence[int]]) -> None:
        self._group = group
        self._topics = topics

    def build(self, request_struct_class: type[_OffsetFetch7]) -> _OffsetFetch7:
        named = [(topic, partitions, _NO_TAGS) for topic, partitions in self._topics.items()]
        return request_struct_class(self._group, named, True, _NO_TAGS)

"""Whether we may write to a topic of somebody else's Kafka, told without writing to it.

The brokers say it with their metadata (KIP-430, Kafka 2.3), by a version of the request that aiokafka does not have; an
older broker only says that the topic exists. Called by `adapters.outlets`.
"""

from typing import Any, Final

from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import (
    KafkaError,
    LeaderNotAvailableError,
    NoError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.metadata import MetadataRequest_v5
from aiokafka.protocol.types import Array, Boolean, Int16, Int32, Schema, String

from services.adapters.kafka.closing import create
from services.adapters.kafka.events import Check, failure
from services.adapters.kafka.settings import KafkaSettings
from services.runtime.failures import Unavailable

_WRITE: Final = 1 << 4  # AclOperation.WRITE
_UNSAID: Final = -(1 << 31)
_LEADERS_MAX: Final = 3


class MetadataResponse(Response):  # type: ignore[misc]  # aiokafka has no types
    """Of version 8."""

    API_KEY = 3
    API_VERSION = 8
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("brokers", Array(("node_id", Int32), ("host", String()), ("port", Int32), ("rack", String()))),
        ("cluster_id", String()),
        ("controller_id", Int32),
        (
            "topics",
            Array(
                ("error_code", Int16),
                ("topic", String()),
                ("is_internal", Boolean),
                (
                    "partitions",
                    Array(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", Array(Int32)),
                        ("isr", Array(Int32)),
                        ("offline_replicas", Array(Int32)),
                    ),
                ),
                ("authorized_operations", Int32),
            ),
        ),
        ("authorized_operations", Int32),
    )


class _MetadataRequest(RequestStruct):  # type: ignore[misc]  # the same
    API_KEY = 3
    API_VERSION = 8
    RESPONSE_TYPE = MetadataResponse
    SCHEMA = Schema(
        ("topics", Array(String())),
        ("allow_auto_topic_creation", Boolean),
        ("include_cluster_authorized_operations", Boolean),
        ("include_topic_authorized_operations", Boolean),
    )


class _Rights(Request[MetadataRequest_v5 | _MetadataRequest]):  # type: ignore[misc]  # the same
    """Of one topic, which is not made by asking for it."""

    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(
        self, request_struct_class: type[MetadataRequest_v5 | _MetadataRequest]
    ) -> MetadataRequest_v5 | _MetadataRequest:
        flags = (False, False, True) if request_struct_class is _MetadataRequest else (False,)
        return request_struct_class([self._topic], *flags)


async def look(settings: KafkaSettings, topic: str, check: Check) -> None:
    """Returns where the topic exists, its leaders can be connected to, and the brokers don't deny the right to write.

    Raises `Rejected` and `Unavailable`.
    """
    try:
        said = await _asked(settings, topic, check)
        found = next((one for one in said["topics"] if one["topic"] == topic), None)
        error = UnknownTopicOrPartitionError if found is None else for_code(found["error_code"])
        if found is None or error is not NoError:
            raise error
        leaders = {one["leader"] for one in found["partitions"]}
        places = {one["node_id"]: (one["host"], one["port"]) for one in said["brokers"]}
        if not leaders <= places.keys():
            raise LeaderNotAvailableError
        rights = found.get("authorized_operations", _UNSAID)
        if rights != _UNSAID and not rights & _WRITE:
            raise TopicAuthorizationFailedError
        for leader in sorted(leaders)[:_LEADERS_MAX]:  # what a broker calls itself is not always what we can reach
            (await _connected(settings, *places[leader], check)).close()
    except (KafkaError, OSError, TimeoutError) as error:
        raise failure(error, topic) from error
    except (AssertionError, TypeError, ValueError) as error:  # what decodes answers believes that they are Kafka's
        raise Unavailable(f"Kafka, {topic}: no answer of a broker") from error


async def _asked(settings: KafkaSettings, topic: str, check: Check) -> dict[str, Any]:
    """What the first broker says that can be connected to; raises what the last one of them met."""
    met: KafkaError | OSError | TimeoutError | Unavailable | None = None
    for server in settings.bootstrap_servers.split(","):
        host, _, port = server.rpartition(":")
        try:
            connection = await _connected(settings, host.strip("[]"), int(port), check)
        except (KafkaError, OSError, TimeoutError, Unavailable) as error:
            met = error
            continue
        try:
            said: dict[str, Any] = (await connection.send(_Rights(topic))).to_object()
            return said
        finally:
            connection.close()
    assert met is not None, "there is one server at least"
    raise met


async def _connected(settings: KafkaSettings, host: str, port: int, check: Check) -> AIOKafkaConnection:
    await check(host)
    said = settings.client()
    del said["bootstrap_servers"]
    return await create(host, port, **said)

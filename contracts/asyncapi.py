"""The AsyncAPI 3.0 page: every topic as a channel with its broker settings, and what usher sends and receives there.

Made from the topic pages by `contracts.documents`; payloads are references to the committed schemas.
"""

from collections.abc import Mapping
from typing import Any, Final

from contracts.catalog import DELIVERIES, FEED_TOPICS, TopicPage

PREFIX: Final = "usher"
USERS: Final = frozenset({"users", "object stores"})  # they are not usher: what they do is no operation of this page

# Commands are in either mode, notifications come from stores, events from anybody, letters have the headers of the
# original, rows their own.
_OTHER_HEADERS: Final = frozenset(
    {"command", "dead_letter", "object_notification", "rows", "stream_event", "stream_rows"}
)
# The schema of these says what stands in their headers, for their value is no JSON.
_ARROW: Final = "application/vnd.apache.arrow.stream"
_VALUE_TYPE: Final = {"dead_letter": "application/octet-stream", "rows": _ARROW, "stream_rows": _ARROW}
# Address and parameter, with its description, of the pages that stand for many topics.
_PATTERNS: Final = {
    DELIVERIES: (f"{PREFIX}.deliveries.{{queue}}.v1", "queue", "The key of one destination's queue."),
    FEED_TOPICS: ("{topic}", "topic", "What the source of a feed names."),
}

_CLOUD_EVENT: Final[dict[str, Any]] = {
    "headers": {
        "type": "object",
        "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_spaceid"],
        "properties": {
            "ce_specversion": {"const": "1.0"},
            "ce_id": {"type": "string", "description": "The same on every replay."},
            "ce_source": {"type": "string"},
            "ce_type": {"type": "string"},
            "ce_spaceid": {"type": "string"},
            "ce_time": {"type": "string", "format": "date-time"},
            "ce_subject": {"type": "string", "description": "The entity that it is about."},
        },
    }
}


def asyncapi(pages: Mapping[str, TopicPage]) -> dict[str, Any]:
    """The page as plain data, in the order in which it is read."""
    messages = sorted({message for page in pages.values() for message in (page.message, *page.also)})
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "usher",
            "version": "1.0.0",
            "description": "The topics of usher. Read with isolation.level=read_committed; ignore unknown fields,"
            " and event types and values of open strings that you do not know.",
        },
        "defaultContentType": "application/json",
        "channels": {name: _channel(name, page) for name, page in pages.items()},
        "operations": {
            key: operation for name, page in pages.items() for key, operation in _operations(name, page).items()
        },
        "components": {
            "messages": {message: _message(message) for message in messages},
            "messageTraits": {"cloudEvent": _CLOUD_EVENT},
        },
    }


def _channel(name: str, page: TopicPage) -> dict[str, Any]:
    address, parameter, described = _PATTERNS.get(name, (f"{PREFIX}.{name}", None, ""))
    hours = page.retention_hours
    settings = {
        "cleanup.policy": [page.cleanup],
        "retention.ms": hours * 3_600_000 if hours >= 0 else -1,
        "max.message.bytes": page.max_message_bytes,
    }
    return {
        "address": address,
        "description": page.purpose,
        **({"parameters": {parameter: {"description": described}}} if parameter else {}),
        "messages": {one: {"$ref": f"#/components/messages/{one}"} for one in (page.message, *page.also)},
        "tags": [{"name": "public" if page.public else "internal"}],
        "bindings": {"kafka": {"topicConfiguration": settings, "bindingVersion": "0.5.0"}},
        "x-key": page.key,
    }


def _operations(name: str, page: TopicPage) -> dict[str, dict[str, Any]]:
    channel = {"$ref": f"#/channels/{name}"}
    sides = (("send", page.writers), ("receive", page.readers))
    return {
        f"{service}-{action}-{name}": {"action": action, "channel": channel}
        for action, services in sides
        for service in services
        if service not in USERS
    }


def _message(message: str) -> dict[str, Any]:
    schema = {"$ref": f"./schemas/{message}.v1.json"}
    value_type = _VALUE_TYPE.get(message)
    return {
        "name": message,
        **({"contentType": value_type, "headers": schema} if value_type else {"payload": schema}),
        **({} if message in _OTHER_HEADERS else {"traits": [{"$ref": "#/components/messageTraits/cloudEvent"}]}),
    }

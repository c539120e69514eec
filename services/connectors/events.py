"""The event of each identity, in the shape of engage.md §6.1, whole or as the activation's mapping has it.

Audience Entered and Audience Exited are track events; Audience Membership Changed is an identify event, which carries
that name too. A function of the items alone. Used by the connectors that send single events.
"""

import re
from typing import Final

import orjson

from contracts.messages.delivery import Delivery
from services.connectors.declaration import MappingField
from services.connectors.directives import ABSENT
from services.connectors.mapping import Compiled, compiled
from services.domain.delivery.merge import Item

PAYLOAD: Final = MappingField("payload", "The JSON value of each event", default={"@path": "$."})

_ESCAPED: Final = re.compile('["\\\\\\x00-\\x1f]')
_NAMES: Final = {"add": "Audience Entered", "remove": "Audience Exited"}
_CHANGED: Final = "Audience Membership Changed"
_MARK: Final = "\ue000identifier\ue001"  # stands for the identity in what is made once for all of an item
_WHOLE: Final = compiled(orjson.dumps(PAYLOAD.default))


def payloads(item: Item) -> list[bytes]:
    """The JSON of each member's event, in the order of the members.

    Only the identity differs within an item, so the rest is resolved once, unless a directive looks into the identity.
    """
    mapping = item.delivery.mapping
    mapped = compiled(orjson.dumps(mapping.get(PAYLOAD.name, PAYLOAD.default))) if mapping is not None else _WHOLE
    assert not mapped.wrong, "a lane makes no requests of what can't be mapped"
    if mapped.opaque:
        return [payload(mapped, item.delivery, member) for member in item.members]
    parts = payload(mapped, item.delivery, _MARK).split(_MARK.encode())
    if _ESCAPED.search("".join(item.members)):
        return [orjson.dumps(member)[1:-1].join(parts) for member in item.members]
    return [member.encode().join(parts) for member in item.members]


def event(said: Delivery, identifier: str) -> dict[str, object]:
    """What mappings take from. The audience's key is its id, which never changes."""
    entered, key = said.operation == "add", said.audience_id
    changed = said.activation_type == "audience_membership_changed"
    context: dict[str, object] = {
        "personas": {
            "computation_class": "audience",
            "computation_id": key,
            "computation_key": key,
            "namespace": said.space_id,
            "space_id": said.space_id,
            "event_emitter_id": said.activation_id,
        },
        "externalIds": [{"id": identifier, "type": said.id_type, "collection": "users", "encoding": "none"}],
        "usher": {
            "entered": entered,
            "sequence": said.sequence,
            "delivery_id": said.delivery_id,
            "resync": said.resync,
        },
    }
    email = {"email": identifier} if said.id_type == "email" else {}
    if email and not changed:
        context["traits"] = email
    return {
        "type": "identify" if changed else "track",
        "event": _CHANGED if changed else _NAMES[said.operation],
        "userId": identifier,
        "messageId": f"{said.delivery_id}.{identifier}",
        "timestamp": said.at,
        **({"traits": email | {key: entered}} if changed else {"properties": {"audience_key": key, key: entered}}),
        "context": context,
        "integrations": {"All": False, said.destination_id: True},
    }


def payload(mapped: Compiled, said: Delivery, identifier: str) -> bytes:
    """The JSON of one event as the mapping has it; null where the mapping finds nothing."""
    found = mapped.resolve(event(said, identifier))
    return orjson.dumps(None if found is ABSENT else found)

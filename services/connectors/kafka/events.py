"""What is written: the key and the JSON of each identity's event. A function of the items alone."""

import re
from collections.abc import Sequence
from typing import Final

import orjson

from services.domain.delivery.merge import Item

_ESCAPED: Final = re.compile('["\\\\\\x00-\\x1f]')
_NAMES: Final = {"add": "Audience Entered", "remove": "Audience Exited"}
_CHANGED: Final = "Audience Membership Changed"


def keys_and_values(items: Sequence[Item]) -> tuple[list[bytes], list[bytes]]:
    """By identity, in the order of the items. Only the identity differs within an item, so the rest is made once."""
    keys: list[bytes] = []
    values: list[bytes] = []
    for item in items:
        before, after = _around(item)
        theirs = [member.encode() for member in item.members]
        keys += theirs
        if _ESCAPED.search("".join(item.members)):
            values += [before + orjson.dumps(member) + after for member in item.members]
        else:
            values += [b'%b"%b"%b' % (before, member, after) for member in theirs]
    return keys, values


def _around(item: Item) -> tuple[bytes, bytes]:
    """The event's JSON before and after the identity."""
    said = item.delivery
    changed = said.activation_type == "audience_membership_changed"
    event = {
        "event": _CHANGED if changed else _NAMES[said.operation],
        "entered": said.operation == "add",
        "sequence": said.sequence,
        "delivery_id": item.id,
        "space_id": said.space_id,
        "audience_id": said.audience_id,
        "activation_id": said.activation_id,
        "resync": said.resync,
        "at": said.at,
        "id_type": said.id_type,
    }
    return orjson.dumps(event)[:-1] + b',"identifier":', b"}"

"""What is wrong with the mapping of an activation: told to whoever saves it, and asked again before it is sent.

A mapping is saved where the connector has a list of fields to map, and it can be applied; it is never ignored.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import orjson

from contracts import codes
from contracts.messages.delivery import Delivery
from contracts.messages.entities import Activation
from services.connectors.declaration import Declaration, Mistake
from services.connectors.events import payload
from services.connectors.mapping import compiled

ACTION: Final = "send"
_PART: Final = "destination_mapping"
_PAYLOAD_BYTES_MAX: Final = 32 * 1024
_MEMBER: Final = "u000051"


def mapping_mistakes(declaration: Declaration, activation: Activation) -> list[Mistake]:
    """Everything that is wrong with `destination_mapping` at a destination of this connector."""
    given = activation.destination_mapping
    if not given:
        return []
    if not declaration.mapping:
        detail = f"what {declaration.slug} sends has one form"
        return [Mistake(_PART, codes.MAPPING_UNAVAILABLE, detail)]
    found = [
        Mistake(f"{_PART}.{name[:40]}", codes.MAPPING_INVALID, "known are action_id and settings")
        for name in given.keys() - {"action_id", "settings"}
    ]
    if given.get("action_id") != ACTION:
        found.append(Mistake(f"{_PART}.action_id", codes.MAPPING_INVALID, f"the one action is {ACTION}"))
    settings = given.get("settings", {})
    if not isinstance(settings, dict):
        return [*found, Mistake(f"{_PART}.settings", codes.MAPPING_INVALID, "an object")]
    return [*found, *_settings_mistakes(declaration, settings, _sample(activation))]


def unmappable(declaration: Declaration, said: Delivery) -> str | None:
    """Why a delivery with a mapping can't be sent by this connector; None: it can, or has none."""
    if said.mapping is None:
        return None
    wrong = list(_settings_mistakes(declaration, said.mapping, said))
    return f"{wrong[0].field}: {wrong[0].detail}" if wrong else None


def _settings_mistakes(declaration: Declaration, settings: Mapping[str, object], said: Delivery) -> Iterator[Mistake]:
    fields = [field.name for field in declaration.mapping]
    for name, value in settings.items():
        path = f"{_PART}.settings.{name[:40]}"
        if name not in fields:
            yield Mistake(path, codes.MAPPING_INVALID, f"known are {', '.join(fields) or 'none'}")
            continue
        try:
            mapped = compiled(orjson.dumps(value))
        except (orjson.JSONEncodeError, orjson.JSONDecodeError):
            yield Mistake(path, codes.MAPPING_INVALID, "a number that is too large, or too many levels")
            continue
        yield from (Mistake(path + inner, codes.MAPPING_INVALID, detail) for inner, detail in mapped.wrong)
        if not mapped.wrong and len(payload(mapped, said, _MEMBER)) > _PAYLOAD_BYTES_MAX:
            yield Mistake(path, codes.MAPPING_INVALID, f"makes more than {_PAYLOAD_BYTES_MAX} bytes of an event")


def _sample(activation: Activation) -> Delivery:
    """What could be sent for the activation."""
    return Delivery(
        delivery_id=activation.activation_id,
        space_id=activation.space_id,
        activation_id=activation.activation_id,
        activation_type=activation.activation_type,
        connection_id=activation.connection_id,
        destination_id=activation.destination_id,
        audience_id=activation.audience_id,
        operation="add",
        resync=False,
        id_type="customer_id",
        members=[],
        at=activation.created_at,
        step=0,
        cause=None,
        partition=0,
        sequence=0,
    )

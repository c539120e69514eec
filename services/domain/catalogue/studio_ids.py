"""The three ids of the Audience Studio API, made for each audience (reference/audience-studio.md §1).

They are a function of space, command and item, so that replaying the commands makes the same; they stand among the
audience's `external_ids`, and so are accepted wherever a reference stands, also in files.
"""

import string
from typing import Final

from msgspec import UnsetType

from contracts import codes
from contracts.messages.entities import Audience
from contracts.messages.fields import NamedFields
from services.domain.catalogue.entity_table import EntityTable
from services.domain.catalogue.failed import fail
from services.domain.catalogue.item import Origin, filled

NAMES: Final = ("id", "segment_uuid", "segment_uuid_long")
_INTEGER_MAX: Final = (1 << 53) - 1  # what every reader of JSON keeps exact
_LETTERS: Final = (string.ascii_lowercase * 10)[:256].encode()
_LONG: Final = ((string.ascii_lowercase + string.digits) * 8)[:256].encode()
_SHORT: Final = ((string.ascii_letters + string.digits) * 5)[:256].encode()


def with_made_ids(brought: dict[str, str], table: EntityTable[Audience], origin: Origin) -> dict[str, str]:
    """The external ids of a new audience: those that it brings, and the three where it does not bring them."""
    attempt, made = 0, _made(origin, 0)
    while not table.are_free([made[name] for name in NAMES if name not in brought]):
        attempt += 1
        made = _made(origin, attempt)
    return made | brought


def kept_ids(item: NamedFields, before: Audience) -> dict[str, str]:
    """The external ids after an update, which replaces all but the three; raises `ItemFailed`(field-immutable)."""
    said = filled(item.external_ids, before.external_ids, {})
    if isinstance(item.external_ids, UnsetType):
        return said
    made = {name: before.external_ids[name] for name in NAMES if name in before.external_ids}
    for name, value in made.items():
        if said.get(name, value) != value:
            fail(codes.FIELD_IMMUTABLE, f"external_ids.{name} can't be changed")
    return made | said


def _made(origin: Origin, attempt: int) -> dict[str, str]:
    digest = origin.make_digest("studio", attempt)
    return {
        "id": str(int.from_bytes(digest[:8], "big") % _INTEGER_MAX + 1),
        "segment_uuid": _word(digest[8:16], _SHORT),
        "segment_uuid_long": _word(digest[16:25], _LONG),
    }


def _word(digest: bytes, characters: bytes) -> str:
    """A character for each byte, a letter first, so that no word reads as a number."""
    return (digest[:1].translate(_LETTERS) + digest[1:].translate(characters)).decode()

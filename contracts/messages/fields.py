"""The forms that fields of commands share, each declared once: limits here, nullable by `| None` where it stands.

From the declaration of a field come its check (`msgspec.convert`), its JSON Schema, its line on the page of commands,
and what an update may do to it. What only a whole item can break is judged in `services.domain.catalogue`.
"""

from functools import cache
from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contracts.access import PERMISSIONS
from contracts.messages.entities import Entity
from contracts.messages.patterns import COUNTRY, HOUR, VISIBLE, VISIBLE_OR_EMPTY

STUDIO_IDS: Final = ("segment_uuid", "segment_uuid_long")
"""The fields of items that refer by the external id of that name, and by nothing else."""

READ_ONLY: Final = Meta(extra_json_schema={"readOnly": True}, description="read-only: an item that says it fails")

IMMUTABLE: Final = Meta(extra_json_schema={"x-immutable": True})
"""Said at creation and final: an update may repeat the value, nothing else."""

Name = Annotated[str, Meta(min_length=1, max_length=256, pattern=VISIBLE, description="unique per space and kind")]
Reference = Annotated[str, Meta(min_length=1, max_length=256, description="an id, an external id or a name")]
Word = Annotated[str, Meta(min_length=1, max_length=256, pattern=VISIBLE)]
WordOrNone = Annotated[str, Meta(max_length=256, pattern=VISIBLE_OR_EMPTY)]
StudioId = Annotated[str, Meta(min_length=1, max_length=256, description="the external id of that name")]
Description = Annotated[str, Meta(max_length=500)]
Labels = Annotated[list[Word], Meta(max_length=100)]
ExternalIds = Annotated[dict[Word, Word], Meta(max_length=50, description="name → value, unique per space and kind")]
Instant = Annotated[
    str, Meta(min_length=10, max_length=40, description="a date or an RFC 3339 instant, UTC by default")
]
Version = Annotated[int, Meta(ge=1, description="the version that the sender has seen; another one is refused")]
Quota = Annotated[int, Meta(ge=0, le=1_000_000_000_000)]
Hour = Annotated[str, Meta(pattern=HOUR)]
Share = Annotated[float, Meta(ge=0, le=1)]
Days = Annotated[int, Meta(ge=1, le=3_650)]
CountryCode = Annotated[str, Meta(pattern=COUNTRY, description="numeric, as in ISO 3166-1: 528")]
LookbackDays = Annotated[int, Meta(ge=1, le=36_500)]
Settings = dict[str, object]
SecretReferences = dict[Word, Annotated[str, Meta(min_length=1, max_length=1024)]]

Permissions = Annotated[list[str], Meta(max_length=20, description=", ".join(PERMISSIONS))]
Scopes = Annotated[list[Word], Meta(max_length=100, description="sees only audiences of these; empty: all")]
PublicKeys = Annotated[list[Annotated[str, Meta(max_length=1024, description="Ed25519, PEM")]], Meta(max_length=2)]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """An item of any command. `entity` is what it makes or changes: of that, all other fields are read-only."""

    entity: ClassVar[type[Entity] | None] = None


class Versioned(Item, frozen=True, kw_only=True):
    """An item about something that has a version."""

    expected_version: Version | UnsetType = UNSET


class NamedFields(Versioned, frozen=True, kw_only=True):
    """What the entities of a space have in common."""

    id: Reference | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    external_ids: ExternalIds | UnsetType | None = UNSET


@cache
def immutable_fields(item: type[msgspec.Struct]) -> tuple[str, ...]:
    """The fields of an item that are declared `IMMUTABLE`."""
    info = msgspec.inspect.type_info(item)
    assert isinstance(info, msgspec.inspect.StructType)
    return tuple(field.name for field in info.fields if _is_immutable(field.type))


def _is_immutable(kind: msgspec.inspect.Type) -> bool:
    if isinstance(kind, msgspec.inspect.UnionType):
        return any(map(_is_immutable, kind.types))
    return isinstance(kind, msgspec.inspect.Metadata) and bool((kind.extra_json_schema or {}).get("x-immutable"))

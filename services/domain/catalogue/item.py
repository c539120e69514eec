"""One item of a command: where it comes from, what it refers to, and the checks that all kinds of entities share."""

from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from contracts import codes
from contracts.ids import is_id, made_digest, made_id
from contracts.instants import instant_text
from contracts.messages.entities import CatalogueEntity, Entity, entity_id
from contracts.messages.feed_commands import ImportReference
from contracts.messages.fields import (
    STUDIO_IDS,
    Item,
    NamedFields,
    Versioned,
    immutable_fields,
)
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.entity_table import E, EntityTable
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.forms import Forms

T = TypeVar("T")
D = TypeVar("D")
N = TypeVar("N", bound=Entity)

ENTITY_BYTES_MAX = 262_144  # well below what a record of the catalogue takes


class Origin(msgspec.Struct, frozen=True, gc=False):
    """Where an item comes from and when: what ids are made of. `at_ms` is the space's time, `principal` who sent it."""

    space_id: str
    source: str
    command_id: str
    item: int
    at_ms: int
    principal: str

    @property
    def at(self) -> str:
        return instant_text(self.at_ms)

    def make_id(self, prefix: str, *more: str | int) -> str:
        """The same for the same item on every replay."""
        return made_id(prefix, self.space_id, self.source, self.command_id, self.item, *more)

    def make_digest(self, *more: str | int) -> bytes:
        """As `make_id`, for ids that have another form."""
        return made_digest(self.space_id, self.source, self.command_id, self.item, *more)


def given(value: T | UnsetType, otherwise: D) -> T | D:
    """The value, or `otherwise` where the field is absent."""
    return otherwise if isinstance(value, UnsetType) else value


def filled(value: T | UnsetType | None, otherwise: T, empty: T) -> T:
    """The value; `otherwise` where the field is absent, `empty` where null clears it."""
    return otherwise if isinstance(value, UnsetType) else empty if value is None else value


def required(value: T | UnsetType | None, field: str) -> T:
    """The value; raises `ItemFailed`(field-required)."""
    if value is None or isinstance(value, UnsetType):
        fail(codes.FIELD_REQUIRED, f"{field} is required")
    return value


def refer(table: EntityTable[E], references: Mapping[str, str | UnsetType]) -> E:
    """The entity that all present references name; a field of `STUDIO_IDS` is the external id of that name.

    Raises `ItemFailed`(field-required, not-found, references-differ).
    """
    found: E | None = None
    for field, reference in references.items():
        if isinstance(reference, UnsetType):
            continue
        named = table.find_external(field, reference) if field in STUDIO_IDS else table.find(reference)
        if named is None:
            fail(codes.NOT_FOUND, f"{field}: no {table.kind} {quoted(reference)}")
        if found is not None and named is not found:
            fail(codes.REFERENCES_DIFFER, f"{field} {quoted(reference)} is not the {table.kind} {entity_id(found)}")
        found = named
    if found is None:
        fail(codes.FIELD_REQUIRED, f"one of {', '.join(references)} is required")
    return found


def referred(table: EntityTable[E], item: Versioned) -> E:
    """The entity that the item is about, in the version that it expects; raises `ItemFailed` as `refer` and
    `check_version` do. An item that says fields of the entity says its name among them, and means no reference by it.
    """
    fields = ("id", f"{table.kind}_id", table.kind) + (() if isinstance(item, NamedFields) else ("name",))
    fields += tuple(field for field in STUDIO_IDS if field in item.__struct_fields__)
    entity = refer(table, {field: getattr(item, field) for field in fields})
    check_version(item, entity)
    return entity


def referred_import(item: ImportReference) -> str:
    """The id of the import that the item names; raises `ItemFailed`(field-required, references-differ)."""
    ids = {one for one in (item.import_, item.import_id) if not isinstance(one, UnsetType)}
    if len(ids) > 1:
        fail(codes.REFERENCES_DIFFER, "import and import_id are two imports")
    if not ids:
        fail(codes.FIELD_REQUIRED, "one of import, import_id is required")
    return ids.pop()


def new_id(table: EntityTable[E], brought: tuple[str | UnsetType, ...], origin: Origin, prefix: str) -> str:
    """The id that the item brings, or one made of its origin; raises `ItemFailed`(field-invalid, id-taken)."""
    ids = {one for one in brought if not isinstance(one, UnsetType)}
    if not ids:
        return _made(table, origin, prefix)
    id_ = ids.pop()
    if ids or not is_id(id_):
        fail(codes.FIELD_INVALID, f"{quoted(id_)}: an id is 1 to 64 of a-z, 0-9, _ and -, said once")
    if table.is_used(id_):
        fail(codes.ID_TAKEN, f"{table.kind} id {quoted(id_)} is or was in use")
    return id_


def _made(table: EntityTable[E], origin: Origin, prefix: str) -> str:
    id_, attempt = origin.make_id(prefix), 0
    while table.is_used(id_):  # a sender used its command id again, long after it was forgotten
        attempt += 1
        id_ = origin.make_id(prefix, attempt)
    return id_


def check_naming(table: EntityTable[E], name: str, external_ids: dict[str, str], own_id: str) -> None:
    """Raises `ItemFailed` where another entity of the kind has the name or an external id."""
    own = table.get(own_id)
    if own is not None and own.name == name and own.external_ids == external_ids:
        return
    if table.named(name) not in (None, own_id):
        fail(codes.NAME_MUST_BE_UNIQUE, f"there is another {table.kind} named {quoted(name)}")
    for external_name, value in external_ids.items():
        if table.external(external_name, value) not in (None, own_id):
            fail(codes.EXTERNAL_ID_TAKEN, f"another {table.kind} has {quoted(external_name)} {quoted(value)}")


def check_version(item: Versioned, entity: Entity) -> None:
    """Raises `ItemFailed`(version-conflict)."""
    if not isinstance(item.expected_version, UnsetType) and item.expected_version != entity.version:
        fail(codes.VERSION_CONFLICT, f"expected version {item.expected_version}, it is {entity.version}")


def refuse_version(item: Versioned) -> None:
    """Raises `ItemFailed`(version-conflict): what is still to be created has no version that somebody has seen."""
    if not isinstance(item.expected_version, UnsetType):
        fail(codes.VERSION_CONFLICT, f"expected version {item.expected_version}, it is to be created")


def check_size(entity: CatalogueEntity, forms: Forms) -> None:
    """Raises `ItemFailed`(entity-too-large): what can't be published must not be approved."""
    size_bytes = len(forms.of(entity))
    if size_bytes > ENTITY_BYTES_MAX:
        fail(codes.ENTITY_TOO_LARGE, f"{entity_id(entity)}: {size_bytes} bytes, at most {ENTITY_BYTES_MAX}")


def naming(item: NamedFields, entity: Entity) -> tuple[str, dict[str, str]]:
    """Name and external ids after an update; absent ones are unchanged."""
    return given(item.name, entity.name).strip(), filled(item.external_ids, entity.external_ids, {})


def changed(entity: N, origin: Origin, **fields: object) -> N:
    """The next version of an entity."""
    return msgspec.structs.replace(
        entity, version=entity.version + 1, updated_at=origin.at, updated_by=origin.principal, **fields
    )


def refuse_immutable(item: Item, entity: Entity) -> None:
    """Raises `ItemFailed`(field-immutable) where the item wants another value of what is declared final."""
    for field in immutable_fields(type(item)):
        refuse_change(getattr(entity, field), getattr(item, field), field)


def refuse_change(present: object, wanted: object, field: str) -> None:
    """Raises `ItemFailed`(field-immutable) where the item wants another value."""
    if wanted is not UNSET and wanted != present:
        fail(codes.FIELD_IMMUTABLE, f"{field} can't be changed")


def refuse_used(kind: str, id_: str, catalogue: Catalogue) -> None:
    """Raises `ItemFailed`(in-use) where something would break without the entity."""
    users = catalogue.users_of(kind, id_)
    if users:
        more = f" and {len(users) - 1} more" if len(users) > 1 else ""
        fail(codes.IN_USE, f"used by {users[0][0]} {users[0][1]}{more}")

"""What users ask of principals: items of `principals.*`; `commands.ITEM_TYPES` lists them (decision 0023)."""

from typing import ClassVar

from msgspec import UNSET, UnsetType

from contracts.messages.entities import Entity, Principal
from contracts.messages.fields import NamedFields, Permissions, PublicKeys, Reference, Scopes, Versioned


class PrincipalFields(NamedFields, frozen=True, kw_only=True):
    """Who may send commands, and which."""

    entity: ClassVar[type[Entity] | None] = Principal

    principal_id: Reference | UnsetType = UNSET
    permissions: Permissions | UnsetType = UNSET
    public_keys: PublicKeys | UnsetType | None = UNSET
    owner_ids: Scopes | UnsetType | None = UNSET
    folder_ids: Scopes | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class PrincipalCreate(PrincipalFields, frozen=True, kw_only=True):
    """A new principal; without keys it is known by a topic of its own only (`USHER_COMMAND_TOPICS`)."""


class PrincipalUpdate(PrincipalFields, frozen=True, kw_only=True):
    """What it may from now on."""

    principal: Reference | UnsetType = UNSET


class PrincipalReference(Versioned, frozen=True, kw_only=True):
    """For `principals.delete` and `principals.get`."""

    id: Reference | UnsetType = UNSET
    principal_id: Reference | UnsetType = UNSET
    principal: Reference | UnsetType = UNSET
    name: Reference | UnsetType = UNSET

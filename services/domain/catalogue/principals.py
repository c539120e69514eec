"""Principals: what an item makes of the catalogue (decision 0023)."""

from contracts import codes
from contracts.access import OPERATOR, PERMISSIONS
from contracts.messages.entities import Principal
from contracts.messages.principal_commands import PrincipalCreate, PrincipalReference, PrincipalUpdate
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.item import (
    Origin,
    changed,
    check_naming,
    check_size,
    filled,
    given,
    naming,
    new_id,
    referred,
    required,
)
from services.domain.catalogue.keys import public_key


def create_principal(item: PrincipalCreate, catalogue: Catalogue, origin: Origin) -> Principal:
    """A new principal; raises `ItemFailed`."""
    principal_id = new_id(catalogue.principals, (item.id, item.principal_id), origin, "prn")
    principal = Principal(
        space_id=origin.space_id,
        principal_id=principal_id,
        name=required(item.name, "name").strip(),
        external_ids=filled(item.external_ids, {}, {}),
        created_at=origin.at,
        updated_at=origin.at,
        created_by=origin.principal,
        updated_by=origin.principal,
        permissions=required(item.permissions, "permissions"),
        public_keys=filled(item.public_keys, [], []),
        owner_ids=filled(item.owner_ids, [], []),
        folder_ids=filled(item.folder_ids, [], []),
        enabled=given(item.enabled, True),
    )
    return _checked(principal, catalogue)


def update_principal(item: PrincipalUpdate, catalogue: Catalogue, origin: Origin) -> Principal:
    """The next form; raises `ItemFailed`."""
    before = referred(catalogue.principals, item)
    name, external_ids = naming(item, before)
    principal = changed(
        before,
        origin,
        name=name,
        external_ids=external_ids,
        permissions=given(item.permissions, before.permissions),
        public_keys=filled(item.public_keys, before.public_keys, []),
        owner_ids=filled(item.owner_ids, before.owner_ids, []),
        folder_ids=filled(item.folder_ids, before.folder_ids, []),
        enabled=given(item.enabled, before.enabled),
    )
    return _checked(principal, catalogue)


def deletable_principal(item: PrincipalReference, catalogue: Catalogue) -> Principal:
    """The principal that may go; raises `ItemFailed`(not-found, version-conflict)."""
    return referred(catalogue.principals, item)


def _checked(principal: Principal, catalogue: Catalogue) -> Principal:
    check_naming(catalogue.principals, principal.name, principal.external_ids, principal.principal_id)
    if OPERATOR in (principal.name, principal.principal_id, *principal.external_ids.values()):
        fail(codes.FIELD_INVALID, f"{OPERATOR} is not a principal of a space")
    unknown = [one for one in principal.permissions if one not in PERMISSIONS]
    if unknown:
        fail(codes.FIELD_INVALID, f"permissions: {quoted(unknown[0])} is none of {', '.join(PERMISSIONS)}")
    if any(public_key(pem) is None for pem in principal.public_keys):
        fail(codes.FIELD_INVALID, "public_keys: Ed25519, PEM (BEGIN PUBLIC KEY)")
    check_size(principal, catalogue.forms)
    return principal

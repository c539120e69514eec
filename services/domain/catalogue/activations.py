"""Activations: what an item makes of the catalogue (contracts.md §3)."""

from typing import Final

from msgspec import UNSET, UnsetType

from contracts import codes
from contracts.instants import parse_instant
from contracts.messages.commands import (
    ActivationCreate,
    ActivationFields,
    ActivationReference,
    ActivationUpdate,
)
from contracts.messages.entities import (
    EXTEND_DAYS,
    RECURRING_DAYS,
    Activation,
    Connection,
    Personalization,
    ProfilePersonalization,
)
from services.domain.catalogue.catalogue import Catalogue
from services.domain.catalogue.connections import check_ends, connection_of, plain_connection
from services.domain.catalogue.failed import fail, quoted
from services.domain.catalogue.forms import Forms
from services.domain.catalogue.item import (
    Origin,
    changed,
    check_naming,
    check_size,
    filled,
    given,
    naming,
    new_id,
    refer,
    referred,
)
from services.domain.catalogue.lifecycle import check_published

_EVERYTHING: Final = "audience_membership_changed"
_TYPES: Final = frozenset({"audience_entered", "audience_exited", _EVERYTHING})


def create_activation(item: ActivationCreate, catalogue: Catalogue, origin: Origin) -> tuple[Activation, Connection]:
    """A new activation and its connection, which is new where there was none; raises `ItemFailed`."""
    activation_id = new_id(catalogue.activations, (item.id, item.activation_id), origin, "act")
    name = given(item.name, activation_id).strip()
    external_ids = filled(item.external_ids, {}, {})
    check_naming(catalogue.activations, name, external_ids, activation_id)
    connection = _connection(item, catalogue, origin)
    activation = Activation(
        space_id=origin.space_id,
        activation_id=activation_id,
        name=name,
        external_ids=external_ids,
        created_at=origin.at,
        updated_at=origin.at,
        created_by=origin.principal,
        updated_by=origin.principal,
        connection_id=connection.connection_id,
        audience_id=connection.audience_id,
        destination_id=connection.destination_id,
        activation_type=given(item.activation_type, "audience_membership_changed"),
        display_name=given(item.display_name, None),
        description=given(item.description, None),
        start_date=given(item.start_date, None),
        end_date=given(item.end_date, None),
        extend=given(item.extend, False),
        extend_days=given(item.extend_days, EXTEND_DAYS),
        recurring=given(item.recurring, False),
        recurring_days=given(item.recurring_days, RECURRING_DAYS),
        on_end=given(item.on_end, "keep"),
        enabled=given(item.enabled, True),
        perform_resync=given(item.perform_resync, True),
        destination_mapping=filled(item.destination_mapping, {}, {}),
        personalization=given(item.personalization, None),
        campaign_id=_campaign(given(item.campaign_id, None), catalogue),
        reference_id=given(item.reference_id, None),
        category_id=given(item.category_id, _default_category(connection, catalogue)),
        country=given(item.country, None),
    )
    _check_whole(activation, catalogue.forms)
    return activation, connection


def update_activation(item: ActivationUpdate, catalogue: Catalogue, origin: Origin) -> Activation:
    """The next form; raises `ItemFailed`."""
    before = referred(catalogue.activations, item)
    connection = catalogue.connections.get(before.connection_id)
    assert connection is not None, "a connection that an activation holds on to is not deleted"
    _check_connection(item, catalogue, connection)
    name, external_ids = naming(item, before)
    check_naming(catalogue.activations, name, external_ids, before.activation_id)
    activation = changed(
        before,
        origin,
        name=name,
        external_ids=external_ids,
        activation_type=given(item.activation_type, before.activation_type),
        display_name=given(item.display_name, before.display_name),
        description=given(item.description, before.description),
        start_date=given(item.start_date, before.start_date),
        end_date=given(item.end_date, before.end_date),
        extend=given(item.extend, before.extend),
        extend_days=given(item.extend_days, before.extend_days),
        recurring=given(item.recurring, before.recurring),
        recurring_days=given(item.recurring_days, before.recurring_days),
        on_end=given(item.on_end, before.on_end),
        enabled=given(item.enabled, before.enabled),
        perform_resync=given(item.perform_resync, before.perform_resync),
        destination_mapping=filled(item.destination_mapping, before.destination_mapping, {}),
        personalization=given(item.personalization, before.personalization),
        campaign_id=_campaign(given(item.campaign_id, before.campaign_id), catalogue),
        reference_id=given(item.reference_id, before.reference_id),
        category_id=given(item.category_id, before.category_id),
        country=given(item.country, before.country),
    )
    _check_whole(activation, catalogue.forms)
    return activation


def referred_activation(item: ActivationReference, catalogue: Catalogue) -> Activation:
    """The activation that the item names; raises `ItemFailed`(not-found, version-conflict)."""
    return referred(catalogue.activations, item)


def paused_activation(item: ActivationReference, catalogue: Catalogue, origin: Origin, *, paused: bool) -> Activation:
    """The next form where it is not as wanted already, else the present one; raises `ItemFailed`."""
    before = referred_activation(item, catalogue)
    return before if before.paused == paused else changed(before, origin, paused=paused)


def _default_category(connection: Connection, catalogue: Catalogue) -> str | None:
    destination = catalogue.destinations.get(connection.destination_id)
    assert destination is not None, "a destination with an activation is not deleted"
    return destination.account.default_category_id


def _connection(item: ActivationCreate, catalogue: Catalogue, origin: Origin) -> Connection:
    if item.connection is not UNSET or item.connection_id is not UNSET:
        references = {"connection": item.connection, "connection_id": item.connection_id}
        connection = refer(catalogue.connections, references)
        _check_connection(item, catalogue, connection)
        return connection
    audience = refer(catalogue.audiences, {"audience": item.audience, "audience_id": item.audience_id})
    destination = refer(
        catalogue.destinations, {"destination": item.destination, "destination_id": item.destination_id}
    )
    present = connection_of(catalogue, audience, destination)
    if present is not None:
        return present
    check_published(audience)
    return plain_connection(new_id(catalogue.connections, (), origin, "con"), audience, destination, origin)


def _campaign(said: str | None, catalogue: Catalogue) -> str | None:
    """The campaign's id; a word that names none stays as it is, for groupings that are kept elsewhere."""
    campaign = None if said is None else catalogue.campaigns.find(said)
    return said if campaign is None else campaign.campaign_id


def _check_connection(item: ActivationFields, catalogue: Catalogue, connection: Connection) -> None:
    """What the item says of connection, audience and destination must be what they are."""
    for reference in (item.connection, item.connection_id):
        if not isinstance(reference, UnsetType) and catalogue.connections.find(reference) != connection:
            fail(codes.FIELD_IMMUTABLE, "connection can't be changed")
    check_ends(item, catalogue, connection)


def _check_whole(activation: Activation, forms: Forms) -> None:
    if activation.activation_type not in _TYPES:
        fail(codes.FIELD_INVALID, f"activation_type {quoted(activation.activation_type)}")
    if activation.on_end not in ("keep", "remove"):
        fail(codes.FIELD_INVALID, f"on_end {quoted(activation.on_end)} is neither keep nor remove")
    if activation.on_end == "remove" and activation.activation_type != _EVERYTHING:
        fail(codes.FIELD_INVALID, f"on_end remove: only of {_EVERYTHING} it is known what the destination has")
    start_ms, end_ms = _instant(activation.start_date, "start_date"), _instant(activation.end_date, "end_date")
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        fail(codes.FIELD_INVALID, "end_date is not after start_date")
    if activation.personalization is not None:
        _check_personalization(activation.personalization, activation.activation_type)
    check_size(activation, forms)


def _check_personalization(wanted: Personalization, activation_type: str) -> None:
    """The form first, then whether it can be had: of identities nothing is known beside their audiences."""
    profile = wanted.profile or ProfilePersonalization()
    unmapped = sorted(profile.mapping.keys() - set(profile.properties))
    if unmapped:
        fail(codes.FIELD_INVALID, f"personalization.profile.mapping: {quoted(unmapped[0])} is none of its properties")
    if wanted.sync_entity_property_changes and activation_type != _EVERYTHING:
        fail(codes.FIELD_INVALID, f"personalization.sync_entity_property_changes goes with {_EVERYTHING}")
    if profile.properties:
        fail(codes.PERSONALIZATION_UNAVAILABLE, "personalization.profile.properties: identities have no traits")
    if wanted.entities or wanted.sync_entity_property_changes:
        fail(codes.PERSONALIZATION_UNAVAILABLE, "personalization.entities: the audience is not of linked entities")


def _instant(text: str | None, field: str) -> int | None:
    at_ms = parse_instant(text) if text is not None else None
    if text is not None and at_ms is None:
        fail(codes.FIELD_INVALID, f"{field} {quoted(text)} is no instant")
    return at_ms

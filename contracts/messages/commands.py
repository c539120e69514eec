"""What users ask for: one struct for the items of each command type (contracts.md §3), one declaration for each field.

UNSET is an absent field, None clears a nullable one. What needs the catalogue to judge (a reference, a required
combination) is judged in `services.domain.catalogue`; the form of a single field is declared here and in
`contracts.messages.fields`, and nowhere else.
"""

from typing import Annotated, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from contracts.messages.campaign_commands import CampaignCreate, CampaignReference, CampaignUpdate
from contracts.messages.entities import (
    Account,
    Activation,
    Audience,
    Connection,
    Destination,
    Entity,
    Evaluation,
    IdSync,
    Personalization,
    Space,
)
from contracts.messages.feed_commands import FeedCreate, FeedReference, FeedUpdate, ImportReference
from contracts.messages.fields import (
    IMMUTABLE,
    READ_ONLY,
    CountryCode,
    Days,
    Description,
    ExternalIds,
    Instant,
    Item,
    Labels,
    Name,
    NamedFields,
    Quota,
    Reference,
    SecretReferences,
    Settings,
    StudioId,
    Versioned,
    Word,
    WordOrNone,
)
from contracts.messages.principal_commands import PrincipalCreate, PrincipalReference, PrincipalUpdate
from contracts.messages.queries import (
    ActivationQuery,
    AudienceQuery,
    CampaignQuery,
    ConnectionQuery,
    DestinationQuery,
    FeedQuery,
    ImportQuery,
    PrincipalQuery,
    SpaceQuery,
)

ITEMS_MAX: Final = 10_000
IDENTIFIERS_MAX: Final = 50_000
VERIFICATIONS_MAX: Final = 100


class PolicyFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a space allows: an absent one stays as it is, null in place of them all brings back the defaults."""

    raw_identifiers: Annotated[bool, Meta(description="e-mail and phone, hashed at the door")] | UnsetType = UNSET
    delete_delivered: Annotated[bool, Meta(description="audiences that were delivered can go")] | UnsetType = UNSET


class QuotaFields(msgspec.Struct, frozen=True, kw_only=True):
    """What a space may have: an absent one stays as it is, null in place of them all brings back the defaults."""

    audiences: Quota | UnsetType = UNSET
    feeds: Quota | UnsetType = UNSET
    identifiers_a_day: Annotated[Quota, Meta(description="in `members.*`")] | UnsetType = UNSET
    commands_a_second: Annotated[Quota, Meta(description="more are rejected")] | UnsetType = UNSET
    layers: Annotated[Quota, Meta(description="appends of one audience that have not expired")] | UnsetType = UNSET
    identities: Annotated[Quota, Meta(description="known ones of one id type")] | UnsetType = UNSET
    readings: Annotated[Quota, Meta(description="at once; more wait")] | UnsetType = UNSET
    imports: Annotated[Quota, Meta(description="under way")] | UnsetType = UNSET


class SpaceFields(Versioned, frozen=True, kw_only=True):
    """What is said of a space itself."""

    entity: ClassVar[type[Entity] | None] = Space

    name: Name | UnsetType = UNSET
    clock: Annotated[str, IMMUTABLE] | UnsetType = UNSET
    external_ids: ExternalIds | UnsetType | None = UNSET
    policies: PolicyFields | UnsetType | None = UNSET
    quotas: QuotaFields | UnsetType | None = UNSET
    space: Reference | UnsetType = UNSET
    space_id: Reference | UnsetType = UNSET
    id: Reference | UnsetType = UNSET


class SpaceCreate(SpaceFields, frozen=True, kw_only=True):
    """The space's id is the command's `spaceid`. `time` (or `start`) is where a manual clock begins."""

    time: Instant | UnsetType = UNSET
    start: Instant | UnsetType = UNSET


class SpaceUpdate(SpaceFields, frozen=True, kw_only=True):
    """A clock moves by `clock.advance` only."""


class SpaceReference(Versioned, frozen=True, kw_only=True):
    """For `spaces.delete` (only an empty one can go) and `spaces.get`."""

    space: Reference | UnsetType = UNSET
    space_id: Reference | UnsetType = UNSET
    id: Reference | UnsetType = UNSET
    name: Reference | UnsetType = UNSET


class ClockAdvance(Versioned, frozen=True, kw_only=True):
    """`to` is a later instant."""

    to: Instant | UnsetType = UNSET


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a composition by one `operator`; integers are the ids of the Audience Studio API."""

    segment: list[Reference | int] | UnsetType = UNSET


class AudienceFields(NamedFields, frozen=True, kw_only=True):
    """`expression` stays as sent: a wrong node has a code of its own. `operator` and `rules` say it in another way.

    `segments` is short for `rules.segment`. An empty `type`, `category` or `sub_category` is none.
    """

    entity: ClassVar[type[Entity] | None] = Audience

    audience_id: Reference | UnsetType = UNSET
    kind: Annotated[str, IMMUTABLE] | UnsetType = UNSET
    id_type: Annotated[str, IMMUTABLE] | UnsetType = UNSET
    member_type: Annotated[str, IMMUTABLE] | UnsetType = UNSET
    lifecycle_state: str | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET
    category: WordOrNone | UnsetType | None = UNSET
    sub_category: WordOrNone | UnsetType | None = UNSET
    type: WordOrNone | UnsetType | None = UNSET
    labels: Labels | UnsetType | None = UNSET
    owner_id: Annotated[Word, IMMUTABLE] | UnsetType | None = UNSET
    folder_id: Word | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    expression: object | UnsetType = UNSET
    operator: str | UnsetType = UNSET
    rules: Rules | UnsetType = UNSET
    segments: list[Reference | int] | UnsetType = UNSET
    evaluation: Evaluation | UnsetType | None = UNSET


class AudienceCreate(AudienceFields, frozen=True, kw_only=True):
    """A list without `expression`, a composition with one."""


class AudienceUpdate(AudienceFields, frozen=True, kw_only=True):
    """Changes the audience that is referred to."""

    audience: Reference | UnsetType = UNSET


class AudienceReference(Versioned, frozen=True, kw_only=True):
    """For `audiences.delete`, `.get`, `.run`, `.snapshot` and `.statistics`. All references name one."""

    id: Reference | UnsetType = UNSET
    audience_id: Reference | UnsetType = UNSET
    audience: Reference | UnsetType = UNSET
    name: Reference | UnsetType = UNSET
    segment_uuid: StudioId | UnsetType = UNSET
    segment_uuid_long: StudioId | UnsetType = UNSET


class DestinationFields(NamedFields, frozen=True, kw_only=True):
    """`secrets` are references, never values. `account` is said as a whole; null: nothing is known of it."""

    entity: ClassVar[type[Entity] | None] = Destination

    destination_id: Reference | UnsetType = UNSET
    connector: Annotated[Word, IMMUTABLE] | UnsetType = UNSET
    settings: Settings | UnsetType | None = UNSET
    secrets: SecretReferences | UnsetType | None = UNSET
    limits: Settings | UnsetType | None = UNSET
    account: Account | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class DestinationCreate(DestinationFields, frozen=True, kw_only=True):
    """A new destination; its delivery queue exists before it is published."""


class DestinationUpdate(DestinationFields, frozen=True, kw_only=True):
    """The connector stays."""

    destination: Reference | UnsetType = UNSET


class DestinationReference(Versioned, frozen=True, kw_only=True):
    """For `destinations.delete`, `.get` and `.verify`."""

    id: Reference | UnsetType = UNSET
    destination_id: Reference | UnsetType = UNSET
    destination: Reference | UnsetType = UNSET
    name: Reference | UnsetType = UNSET


class ConnectorReference(Item, frozen=True, kw_only=True):
    """For `destinations.supported`: one connector by its slug, or all where none is named."""

    connector: Reference | UnsetType = UNSET


class ConnectionFields(NamedFields, frozen=True, kw_only=True):
    """`external_audience_id` is read-only. Of `id_sync` only the audience's own id type can be had as yet."""

    entity: ClassVar[type[Entity] | None] = Connection

    connection_id: Reference | UnsetType = UNSET
    connection_settings: Settings | UnsetType | None = UNSET
    id_sync: Annotated[list[IdSync], Meta(max_length=5)] | UnsetType | None = UNSET
    external_audience_id: Annotated[str, READ_ONLY] | UnsetType | None = UNSET
    audience: Reference | UnsetType = UNSET
    audience_id: Reference | UnsetType = UNSET
    destination: Reference | UnsetType = UNSET
    destination_id: Reference | UnsetType = UNSET


class ConnectionCreate(ConnectionFields, frozen=True, kw_only=True):
    """One audience at one destination."""


class ConnectionUpdate(ConnectionFields, frozen=True, kw_only=True):
    """Audience and destination stay."""

    connection: Reference | UnsetType = UNSET


class ConnectionReference(Versioned, frozen=True, kw_only=True):
    """For `connections.delete` and `connections.get`."""

    id: Reference | UnsetType = UNSET
    connection_id: Reference | UnsetType = UNSET
    connection: Reference | UnsetType = UNSET
    name: Reference | UnsetType = UNSET


class ActivationFields(NamedFields, frozen=True, kw_only=True):
    """`extend`: its end moves on by `extend_days`. `recurring`: every `recurring_days` from its start, all members."""

    entity: ClassVar[type[Entity] | None] = Activation

    activation_id: Reference | UnsetType = UNSET
    connection: Reference | UnsetType = UNSET
    connection_id: Reference | UnsetType = UNSET
    audience: Reference | UnsetType = UNSET
    audience_id: Reference | UnsetType = UNSET
    destination: Reference | UnsetType = UNSET
    destination_id: Reference | UnsetType = UNSET
    display_name: Word | UnsetType | None = UNSET
    description: Description | UnsetType | None = UNSET
    activation_type: str | UnsetType = UNSET
    start_date: Instant | UnsetType | None = UNSET
    end_date: Instant | UnsetType | None = UNSET
    extend: bool | UnsetType = UNSET
    extend_days: Days | UnsetType = UNSET
    recurring: bool | UnsetType = UNSET
    recurring_days: Days | UnsetType = UNSET
    on_end: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    perform_resync: bool | UnsetType = UNSET
    destination_mapping: Settings | UnsetType | None = UNSET
    personalization: Personalization | UnsetType | None = UNSET
    campaign_id: Word | UnsetType | None = UNSET
    reference_id: Word | UnsetType | None = UNSET
    category_id: Word | UnsetType | None = UNSET
    country: CountryCode | UnsetType | None = UNSET


class ActivationCreate(ActivationFields, frozen=True, kw_only=True):
    """Over a `connection`, or over the one of `audience` and `destination`, which is made where it is missing."""


class ActivationUpdate(ActivationFields, frozen=True, kw_only=True):
    """The connection stays."""

    activation: Reference | UnsetType = UNSET


class ActivationReference(Versioned, frozen=True, kw_only=True):
    """For `activations.delete`, `.get`, `.pause`, `.resume` and `.resync`."""

    id: Reference | UnsetType = UNSET
    activation_id: Reference | UnsetType = UNSET
    activation: Reference | UnsetType = UNSET
    name: Reference | UnsetType = UNSET


class ActivationRedrive(ActivationReference, frozen=True, kw_only=True):
    """`identifiers` of the audience's id type, in any accepted spelling; at most 10,000 in an item."""

    identifiers: Annotated[list[str], Meta(max_length=10_000)] | UnsetType = UNSET


class MembersClear(Versioned, frozen=True, kw_only=True):
    """Every member leaves."""

    audience: Reference | UnsetType = UNSET
    audience_id: Reference | UnsetType = UNSET
    id_type: str | UnsetType = UNSET
    operation: Annotated[str, Meta(description="repeats the command's type, or the item fails")] | UnsetType = UNSET


class MembersItem(MembersClear, frozen=True, kw_only=True):
    """`identifiers` in any accepted spelling; at most 50,000 over all items of the command.

    `id_type` is the audience's, or `email` or `phone` where the space lets those in.
    """

    identifiers: list[str] | UnsetType = UNSET


ITEM_TYPES: Final[dict[str, type[Item]]] = {
    "spaces.create": SpaceCreate,
    "spaces.update": SpaceUpdate,
    "spaces.delete": SpaceReference,
    "spaces.get": SpaceReference,
    "spaces.search": SpaceQuery,
    "clock.advance": ClockAdvance,
    "audiences.create": AudienceCreate,
    "audiences.update": AudienceUpdate,
    "audiences.delete": AudienceReference,
    "audiences.run": AudienceReference,
    "audiences.snapshot": AudienceReference,
    "audiences.statistics": AudienceReference,
    "audiences.get": AudienceReference,
    "audiences.search": AudienceQuery,
    "feeds.create": FeedCreate,
    "feeds.update": FeedUpdate,
    "feeds.delete": FeedReference,
    "feeds.get": FeedReference,
    "feeds.search": FeedQuery,
    "imports.approve": ImportReference,
    "imports.reject": ImportReference,
    "imports.get": ImportReference,
    "imports.search": ImportQuery,
    "destinations.create": DestinationCreate,
    "destinations.update": DestinationUpdate,
    "destinations.delete": DestinationReference,
    "destinations.verify": DestinationReference,
    "destinations.get": DestinationReference,
    "destinations.search": DestinationQuery,
    "destinations.supported": ConnectorReference,
    "connections.create": ConnectionCreate,
    "connections.update": ConnectionUpdate,
    "connections.delete": ConnectionReference,
    "connections.get": ConnectionReference,
    "connections.search": ConnectionQuery,
    "activations.create": ActivationCreate,
    "activations.update": ActivationUpdate,
    "activations.delete": ActivationReference,
    "activations.pause": ActivationReference,
    "activations.resume": ActivationReference,
    "activations.resync": ActivationReference,
    "activations.redrive": ActivationRedrive,
    "activations.get": ActivationReference,
    "activations.search": ActivationQuery,
    "campaigns.create": CampaignCreate,
    "campaigns.update": CampaignUpdate,
    "campaigns.delete": CampaignReference,
    "campaigns.get": CampaignReference,
    "campaigns.search": CampaignQuery,
    "principals.create": PrincipalCreate,
    "principals.update": PrincipalUpdate,
    "principals.delete": PrincipalReference,
    "principals.get": PrincipalReference,
    "principals.search": PrincipalQuery,
    "members.add": MembersItem,
    "members.remove": MembersItem,
    "members.replace": MembersItem,
    "members.clear": MembersClear,
}

NOT_SUPPORTED_YET: Final = frozenset({"identities.erase"})

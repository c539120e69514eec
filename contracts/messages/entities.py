"""What the catalogue publishes: the full present form of each entity, key `space/kind/id`, null value = removed."""

from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta

from contracts.messages.patterns import MARKER, TIME_OF_DAY

EXTEND_DAYS: Final = 30
RECURRING_DAYS: Final = 7

TimeOfDay = Annotated[str, Meta(pattern=TIME_OF_DAY)]

AccountText = Annotated[str, Meta(min_length=1, max_length=256)]


class Expression(msgspec.Struct, frozen=True, omit_defaults=True):
    """A node of a composition: exactly one of the four keys (engine.md §2)."""

    audience: str | None = None
    and_: list["Expression"] | None = msgspec.field(default=None, name="and")
    or_: list["Expression"] | None = msgspec.field(default=None, name="or")
    not_: "Expression | None" = msgspec.field(default=None, name="not")


class Evaluation(msgspec.Struct, frozen=True):
    """When an audience changes: at once (`continuous`), or by runs at these times of the day (`scheduled`)."""

    mode: str = "continuous"
    at: Annotated[list[TimeOfDay], Meta(min_length=1, max_length=24)] | None = None
    timezone: str = "UTC"


# In no cycles, and so many that a collector that looks at each of them is felt: without it (`gc`).
class Entity(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What all entities of a space share. `version` counts its forms from 1; times are RFC 3339.

    `created_by` and `updated_by` are the principals who made it and its present form, as `usher.audit.v1` names them
    (`operator`: who may everything); null: usher itself.
    """

    space_id: str
    name: str
    external_ids: dict[str, str] = {}
    version: int = 1
    created_at: str
    updated_at: str
    created_by: str | None = None
    updated_by: str | None = None


class Policies(msgspec.Struct, frozen=True, kw_only=True):
    """What a space allows. `raw_identifiers`: e-mail addresses and phone numbers, which become hashes at the door.
    `delete_delivered`: to delete an audience of which members have reached a destination.
    """

    raw_identifiers: bool = False
    delete_delivered: bool = True


class Quotas(msgspec.Struct, frozen=True, kw_only=True):
    """What a space may have and ask for. The day is a UTC day of the space, the second one of its records' times.

    `layers` are the appends of one audience that have not expired, `identities` those that are known of one id type,
    `readings` the imports that are read at once, `imports` those under way.
    """

    audiences: int = 200_000
    feeds: int = 10_000
    identifiers_a_day: int = 1_000_000_000
    commands_a_second: int = 5_000
    layers: int = 1_100  # three years of daily appends; hourly ones of 45 days
    identities: int = 100_000_000  # 4.5 GB of UUIDs over all workers
    readings: int = 64
    imports: int = 10_000  # control keeps some KiB of each

    def identities_on_partition(self, partitions: int) -> int:
        """The share of one of so many partitions."""
        return -(-self.identities // partitions)


class Space(Entity, frozen=True, kw_only=True, tag="space", tag_field="kind_of_entity"):
    """A tenant. `time` is where a manual clock stands (null with a system clock)."""

    clock: str = "system"
    time: str | None = None
    policies: Policies = Policies()
    quotas: Quotas = Quotas()


class Audience(Entity, frozen=True, kw_only=True, tag="audience", tag_field="kind_of_entity"):
    """A set of members. `step` is the step that made this form known to membership.

    `lifecycle_state` is `draft` (destinations don't see it), `published` or `inactive` (takes no rows).
    """

    audience_id: str
    kind: str
    id_type: str
    member_type: str = "identity"
    lifecycle_state: str = "published"
    description: str | None = None
    category: str | None = None
    sub_category: str | None = None
    type: str | None = None
    labels: list[str] = []
    owner_id: str | None = None
    folder_id: str | None = None
    enabled: bool = True
    expression: Expression | None = None
    evaluation: Evaluation = Evaluation()
    created_step: int
    step: int


class Source(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a feed's rows come from. `bucket` null means the bucket of the settings."""

    kind: str
    bucket: str | None = None
    prefix: str | None = None
    topic: str | None = None


class Column(msgspec.Struct, frozen=True, omit_defaults=True):
    """A column of a csv feed, by its header name. `role`: `identifier`, `audience`, `consent` or `ignore`.

    A row is taken only where its consent column says `1`, `true` or `yes`.
    """

    name: str
    role: str
    id_type: str | None = None


class Marker(msgspec.Struct, frozen=True):
    """`complete_on` with a marker object: its name, and how long its folder waits for it, by the space's time."""

    marker: Annotated[str, Meta(min_length=1, max_length=256, pattern=MARKER)]
    timeout_seconds: Annotated[int, Meta(ge=1, le=31_536_000)] = 86_400


class FixedAudience(msgspec.Struct, frozen=True):
    """`audience_from` where every row is of one audience."""

    audience: str


class Feed(Entity, frozen=True, kw_only=True, tag="feed", tag_field="kind_of_entity"):
    """Where rows for list audiences come from and how to read them (contracts.md §3).

    `watched_since`: since when, by the machine's clock, the feed has been enabled with its present prefix. Objects put
    since then that nobody announced are looked for; older ones are the feed's only where somebody announces them.
    """

    feed_id: str
    source: Source
    mode: Literal["append", "replace", "remove"]
    id_type: str
    lookback_days: int | None = None
    format: str = "caret"
    columns: list[Column] | None = None
    audience_from: str | FixedAudience = "column"
    complete_on: str | Marker = "object"
    process_at: str | None = None
    remove_share_max: float | None = None
    enabled: bool = True
    watched_since: str | None = None


class Account(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Whose account at which platform a destination is (reference/digital-audience.md §4.2). Never a secret.

    `client_id` is how the platform names it; `default_category_id` that of activations that are made without one.
    """

    platform_id: AccountText | None = None
    platform_name: AccountText | None = None
    platform_display_name: AccountText | None = None
    agency_id: AccountText | None = None
    agency_name: AccountText | None = None
    account_type_id: AccountText | None = None
    account_type_name: AccountText | None = None
    advertiser_id: AccountText | None = None
    client_id: AccountText | None = None
    default_category_id: AccountText | None = None


class Destination(Entity, frozen=True, kw_only=True, tag="destination", tag_field="kind_of_entity"):
    """A connector with settings on one account. `secrets` are references, never values; `queue` is its topic key."""

    destination_id: str
    connector: str
    settings: dict[str, object] = {}
    secrets: dict[str, str] = {}
    limits: dict[str, object] = {}
    account: Account = Account()
    enabled: bool = True
    queue: str


class IdSync(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Which identifiers of a member are sent, and under which name (reference/engage.md §6.6)."""

    id_type: str
    strategy: str
    map_to: str | None = None


class Connection(Entity, frozen=True, kw_only=True, tag="connection", tag_field="kind_of_entity"):
    """One audience at one destination. `cleared_step`: the latest resync for which its list was emptied, 0: none.

    `external_audience_id`: the list that usher found or made over there, where the settings don't name it by its id.
    """

    connection_id: str
    audience_id: str
    destination_id: str
    connection_settings: dict[str, object] = {}
    id_sync: list[IdSync] = []
    external_audience_id: str | None = None
    cleared_step: int = 0


class ProfilePersonalization(msgspec.Struct, frozen=True, kw_only=True):
    """Traits of the profile that go with each member, and the names they go under where those differ."""

    properties: Annotated[list[str], Meta(max_length=100)] = []
    mapping: dict[str, str] = {}


class Personalization(msgspec.Struct, frozen=True, kw_only=True):
    """What is sent beside a member (reference/engage.md §3.6)."""

    profile: ProfilePersonalization | None = None
    entities: Annotated[list[dict[str, object]], Meta(max_length=100)] = []
    sync_entity_property_changes: bool = False


class Activation(Entity, frozen=True, kw_only=True, tag="activation", tag_field="kind_of_entity"):
    """What is sent over a connection, when and for which period.

    `extend`: its end moves on by `extend_days` before it lapses. `recurring`: all members are sent again every
    `recurring_days` from its start. `paused`: by command, until another lets it go on. `system_generated`: usher made
    it by itself, which it never does as yet.
    """

    activation_id: str
    connection_id: str
    audience_id: str
    destination_id: str
    activation_type: str = "audience_membership_changed"
    display_name: str | None = None
    description: str | None = None
    start_date: str | None = None
    end_date: str | None = None
    extend: bool = False
    extend_days: int = EXTEND_DAYS
    recurring: bool = False
    recurring_days: int = RECURRING_DAYS
    on_end: str = "keep"
    enabled: bool = True
    paused: bool = False
    perform_resync: bool = True
    destination_mapping: dict[str, object] = {}
    personalization: Personalization | None = None
    campaign_id: str | None = None
    reference_id: str | None = None
    category_id: str | None = None
    country: str | None = None
    system_generated: bool = False


class Campaign(Entity, frozen=True, kw_only=True, tag="campaign", tag_field="kind_of_entity"):
    """A grouping of activations."""

    campaign_id: str
    description: str | None = None


class Principal(Entity, frozen=True, kw_only=True, tag="principal", tag_field="kind_of_entity"):
    """Who may send commands in a space: known by a signature of one of the keys, or by a topic of its own.

    `permissions`: `audiences:read`, `audiences:manage`, `members:manage`, `destinations:manage`, `activations:manage`,
    `admin`. `public_keys`: Ed25519, PEM; two while one takes the other's place. Where `owner_ids` or `folder_ids` are
    given, it sees no other audiences than those of these owners, in these folders (decision 0030).
    """

    principal_id: str
    permissions: list[str] = []
    public_keys: list[str] = []
    owner_ids: list[str] = []
    folder_ids: list[str] = []
    enabled: bool = True


CatalogueEntity = Space | Audience | Feed | Destination | Connection | Activation | Campaign | Principal

KIND_PLURAL = {
    "space": "spaces",
    "audience": "audiences",
    "feed": "feeds",
    "destination": "destinations",
    "connection": "connections",
    "activation": "activations",
    "campaign": "campaigns",
    "principal": "principals",
}


def entity_id(entity: CatalogueEntity) -> str:
    """The id that stands in the catalogue key."""
    match entity:
        case Space():
            return entity.space_id
        case Audience():
            return entity.audience_id
        case Feed():
            return entity.feed_id
        case Destination():
            return entity.destination_id
        case Connection():
            return entity.connection_id
        case Activation():
            return entity.activation_id
        case Campaign():
            return entity.campaign_id
        case Principal():
            return entity.principal_id


def catalogue_key(entity: CatalogueEntity) -> str:
    """`space/kind/id`."""
    return f"{entity.space_id}/{entity_kind(entity)}/{entity_id(entity)}"


def entity_kind(entity: CatalogueEntity) -> str:
    """`space`, `audience`, `feed`, `destination`, `connection`, `activation`, `campaign` or `principal`."""
    return type(entity).__name__.lower()

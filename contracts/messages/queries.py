"""What users look for: the filters of each `*.search`, one declaration each (contracts.md §3).

Filters are AND-ed, the values of one filter OR-ed. A filter on `id`, or on what an entity holds on to, takes any
reference; one that names nothing matches nothing. What a filter does stands in `services.domain.catalogue.search`.
"""

from typing import Annotated, Final

from msgspec import UNSET, Meta, UnsetType

from contracts.messages.fields import Item
from contracts.messages.patterns import SORT

LIMIT_MAX: Final = 500

_Value = Annotated[str, Meta(min_length=1, max_length=256)]
Values = _Value | Annotated[list[_Value], Meta(min_length=1, max_length=1000)]
Sort = Annotated[str, Meta(pattern=SORT, description="`-` before it: the last first")]
Offset = Annotated[int, Meta(ge=0)]
Limit = Annotated[int, Meta(ge=1, le=LIMIT_MAX)]


class Query(Item, frozen=True, kw_only=True):
    """A page of what matches: `limit` entities from `offset` on, by `sort` and then by id, and how many there are."""

    sort: Sort = "id"
    offset: Offset = 0
    limit: Limit = LIMIT_MAX
    id: Values | UnsetType = UNSET
    name: Values | UnsetType = UNSET
    external_id: Annotated[Values, Meta(description="under whatever name")] | UnsetType = UNSET


class SpaceQuery(Query, frozen=True, kw_only=True):
    """A command sees its own space only."""

    space_id: Values | UnsetType = UNSET
    clock: Values | UnsetType = UNSET


class AudienceQuery(Query, frozen=True, kw_only=True):
    """`uses` finds the compositions that have one of these audiences as a part."""

    audience_id: Values | UnsetType = UNSET
    kind: Values | UnsetType = UNSET
    id_type: Values | UnsetType = UNSET
    member_type: Values | UnsetType = UNSET
    lifecycle_state: Values | UnsetType = UNSET
    type: Values | UnsetType = UNSET
    category: Values | UnsetType = UNSET
    sub_category: Values | UnsetType = UNSET
    labels: Values | UnsetType = UNSET
    owner_id: Values | UnsetType = UNSET
    folder_id: Values | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    uses: Values | UnsetType = UNSET


class FeedQuery(Query, frozen=True, kw_only=True):
    """`audience` finds the feeds all of whose rows are of one of these audiences."""

    feed_id: Values | UnsetType = UNSET
    mode: Values | UnsetType = UNSET
    id_type: Values | UnsetType = UNSET
    format: Values | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    audience: Values | UnsetType = UNSET


class DestinationQuery(Query, frozen=True, kw_only=True):
    """Accounts at platforms."""

    destination_id: Values | UnsetType = UNSET
    connector: Values | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class ConnectionQuery(Query, frozen=True, kw_only=True):
    """Of audiences, at destinations."""

    connection_id: Values | UnsetType = UNSET
    audience: Values | UnsetType = UNSET
    destination: Values | UnsetType = UNSET


class ActivationQuery(Query, frozen=True, kw_only=True):
    """Of audiences, at destinations, over connections, in campaigns."""

    activation_id: Values | UnsetType = UNSET
    audience: Values | UnsetType = UNSET
    destination: Values | UnsetType = UNSET
    connection: Values | UnsetType = UNSET
    campaign: Values | UnsetType = UNSET
    activation_type: Values | UnsetType = UNSET
    reference_id: Values | UnsetType = UNSET
    category_id: Values | UnsetType = UNSET
    country: Values | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class CampaignQuery(Query, frozen=True, kw_only=True):
    """Groupings of activations."""

    campaign_id: Values | UnsetType = UNSET


class PrincipalQuery(Query, frozen=True, kw_only=True):
    """Who may send commands."""

    principal_id: Values | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET


class ImportQuery(Item, frozen=True, kw_only=True):
    """Imports that have not ended, the oldest first; those that have stand on `usher.imports.v1`."""

    offset: Offset = 0
    limit: Limit = LIMIT_MAX
    import_id: Values | UnsetType = UNSET
    feed_id: Values | UnsetType = UNSET
    audience_id: Values | UnsetType = UNSET
    state: Values | UnsetType = UNSET
    mode: Values | UnsetType = UNSET

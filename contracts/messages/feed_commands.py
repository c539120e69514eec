"""What users ask of feeds and imports: items of `feeds.*` and `imports.*`; `commands.ITEM_TYPES` lists them."""

from typing import Annotated, ClassVar

from msgspec import UNSET, Meta, UnsetType, field

from contracts.messages.entities import Column, Entity, Feed, FixedAudience, Marker, Source
from contracts.messages.fields import Hour, Item, LookbackDays, NamedFields, Reference, Share, Versioned


class FeedFields(NamedFields, frozen=True, kw_only=True):
    """Where rows come from and how to read them."""

    entity: ClassVar[type[Entity] | None] = Feed

    feed_id: Reference | UnsetType = UNSET
    source: Source | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    id_type: str | UnsetType = UNSET
    lookback_days: LookbackDays | UnsetType | None = UNSET
    format: str | UnsetType = UNSET
    columns: Annotated[list[Column], Meta(max_length=1000)] | UnsetType | None = UNSET
    audience_from: str | FixedAudience | UnsetType = UNSET
    complete_on: str | Marker | UnsetType = UNSET
    process_at: Hour | UnsetType | None = UNSET
    remove_share_max: Share | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET


class FeedCreate(FeedFields, frozen=True, kw_only=True):
    """A new feed."""


class FeedUpdate(FeedFields, frozen=True, kw_only=True):
    """Objects announced before keep the form that the feed had then."""

    feed: Reference | UnsetType = UNSET


class FeedReference(Versioned, frozen=True, kw_only=True):
    """For `feeds.delete` and `feeds.get`."""

    id: Reference | UnsetType = UNSET
    feed_id: Reference | UnsetType = UNSET
    feed: Reference | UnsetType = UNSET
    name: Reference | UnsetType = UNSET


class ImportReference(Item, frozen=True, kw_only=True):
    """For `imports.approve` and `imports.reject`, an import that is held, and for `imports.get`."""

    import_: Reference | UnsetType = field(default=UNSET, name="import")
    import_id: Reference | UnsetType = UNSET

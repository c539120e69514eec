"""Items of the `campaigns.*` commands (contracts.md §3)."""

from typing import ClassVar

from msgspec import UNSET, UnsetType

from contracts.messages.entities import Campaign, Entity
from contracts.messages.fields import Description, NamedFields, Reference, Versioned


class CampaignFields(NamedFields, frozen=True, kw_only=True):
    """A grouping of activations."""

    entity: ClassVar[type[Entity] | None] = Campaign

    campaign_id: Reference | UnsetType = UNSET
    description: Description | UnsetType | None = UNSET


class CampaignCreate(CampaignFields, frozen=True, kw_only=True):
    """A new campaign."""


class CampaignUpdate(CampaignFields, frozen=True, kw_only=True):
    """Changes the campaign that is referred to."""

    campaign: Reference | UnsetType = UNSET


class CampaignReference(Versioned, frozen=True, kw_only=True):
    """For `campaigns.delete` and `campaigns.get`."""

    id: Reference | UnsetType = UNSET
    campaign_id: Reference | UnsetType = UNSET
    campaign: Reference | UnsetType = UNSET
    name: Reference | UnsetType = UNSET

"""Campaigns: what an item makes of the catalogue (contracts.md §3)."""

from contracts.messages.campaign_commands import CampaignCreate, CampaignReference, CampaignUpdate
from contracts.messages.entities import Campaign
from services.domain.catalogue.catalogue import Catalogue
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
    refuse_used,
    required,
)


def create_campaign(item: CampaignCreate, catalogue: Catalogue, origin: Origin) -> Campaign:
    """A new campaign; raises `ItemFailed`."""
    name = required(item.name, "name").strip()
    campaign_id = new_id(catalogue.campaigns, (item.id, item.campaign_id), origin, "camp")
    external_ids = filled(item.external_ids, {}, {})
    check_naming(catalogue.campaigns, name, external_ids, campaign_id)
    campaign = Campaign(
        space_id=origin.space_id,
        campaign_id=campaign_id,
        name=name,
        external_ids=external_ids,
        created_at=origin.at,
        updated_at=origin.at,
        created_by=origin.principal,
        updated_by=origin.principal,
        description=given(item.description, None),
    )
    check_size(campaign, catalogue.forms)
    return campaign


def update_campaign(item: CampaignUpdate, catalogue: Catalogue, origin: Origin) -> Campaign:
    """The next form; raises `ItemFailed`."""
    before = referred(catalogue.campaigns, item)
    name, external_ids = naming(item, before)
    check_naming(catalogue.campaigns, name, external_ids, before.campaign_id)
    description = given(item.description, before.description)
    campaign = changed(before, origin, name=name, external_ids=external_ids, description=description)
    check_size(campaign, catalogue.forms)
    return campaign


def deletable_campaign(item: CampaignReference, catalogue: Catalogue) -> Campaign:
    """The campaign that may go; raises `ItemFailed`(not-found, version-conflict, in-use)."""
    campaign = referred(catalogue.campaigns, item)
    refuse_used("campaign", campaign.campaign_id, catalogue)
    return campaign

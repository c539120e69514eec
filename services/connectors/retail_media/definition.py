"""The retail-media connector's declaration, and the connector itself."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.connectors.base import ListingConnector, ListsFound, Request, Settings, Target
from services.connectors.declaration import (
    LIST_NAME,
    RESYNC,
    Declaration,
    Identifier,
    Limits,
    ListMaking,
    SecretField,
    SettingField,
)
from services.connectors.grouping import of_one_kind
from services.connectors.oauth import client_credentials
from services.connectors.retail_media import contact_list, segments
from services.domain.delivery.answers import Verdict
from services.domain.delivery.merge import Item
from services.runtime.web import WebAnswer, WebRequest

DECLARATION: Final = Declaration(
    slug="retail-media",
    title="Criteo Retail Media contact lists",
    settings=(
        SettingField("api_version", "text", "The API's version", default="2027-01", pattern=r"20[0-9]{2}-[0-9]{2}"),
        SettingField("url", "url", "Where the API is", default="https://api.criteo.com"),
    ),
    secrets=(
        SecretField("client_id", "The id of an app that has consent to manage audiences", required=True),
        SecretField("client_secret", "Its secret", required=True),
    ),
    connection_settings=(
        SettingField(
            "segment_id", "text", "The audience segment, if it exists: a contact list of the id type",
            pattern=r"[0-9]{1,20}",
        ),
        SettingField("segment_name", "text", "Else the name by which it is found, or made", pattern=LIST_NAME),
        SettingField("account_id", "text", "The account that has it", pattern=r"[0-9]{1,20}"),
        SettingField("retailer_id", "text", "The retailer that it is for", pattern=r"[0-9]{1,20}"),
        RESYNC,
    ),
    list_making=ListMaking("segment_id", ("segment_name", "account_id", "retailer_id")),
    identifiers=tuple(
        Identifier(id_type, name, "hex" if name == "Email" else "as it is")
        for id_type, name in contact_list.IDENTIFIER_TYPES.items()
    ),
    limits=Limits(
        items_per_request=50_000,
        items_per_request_max=50_000,
        requests_per_second=4.0,  # 250 calls a minute for an app
        bytes_per_request_max=10_000_000,
    ),
    removal=(
        "A member that exits is removed from the list at once. Criteo computes segments at 00:00 and 12:00 UTC; "
        "campaigns see it some 5 hours later."
    ),
    lists=(
        "A contact-list segment. One that is named by `segment_name`, `account_id` and `retailer_id` is looked for "
        "among the account's segments, and made by `POST /accounts/<account_id>/audience-segments/create` where there "
        "is none; Criteo makes none of type `Gum`."
    ),
    verification=(
        "A token is fetched, and `GET /retail-media/accounts` must name an account that the app has consent for. "
        "Segments are named by connections, and not looked at."
    ),
    met=(
        "Built by Criteo's published reference and tried on a local server that holds to it, and on the models of "
        "`criteo-api-retailmedia-sdk`. It has not met the live service."
    ),
)  # fmt: skip


class RetailMedia(ListingConnector):
    """The connector `retail-media`."""

    declaration = DECLARATION

    def grant(self, target: Target) -> WebRequest:
        """The app's own token: client credentials."""
        url = f"{str(target.settings['url']).rstrip('/')}/oauth2/token"
        return client_credentials(url, target.secrets["client_id"], target.secrets["client_secret"])

    def requests(self, items: Sequence[Item], settings: Settings) -> list[Request]:  # noqa: ARG002 - none says how
        """One for each connection, operation and id type."""
        return [contact_list.request(group) for group in of_one_kind(items)]

    def attempt(self, request: Request, target: Target) -> WebRequest:
        """The request with its token."""
        return contact_list.attempt(request, target)

    def outcomes(self, request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
        """One verdict for all."""
        return contact_list.outcomes(request, answer)

    def verification(self, target: Target) -> WebRequest:
        """A look at the app's accounts."""
        return contact_list.verification(target)

    def verified(self, answer: WebAnswer) -> Verdict:
        """There is one."""
        return contact_list.verified(answer)

    def list_search(self, target: Target, page: str | None) -> WebRequest:
        """A page of the account's segments."""
        return segments.search(target, page)

    def lists_found(self, answer: WebAnswer, target: Target, id_type: str) -> ListsFound | Verdict:
        """Those that take the type."""
        return segments.found(answer, target.connection, id_type)

    def list_creation(self, target: Target, id_type: str) -> WebRequest:
        """One that takes the type."""
        return segments.creation(target, id_type)

    def list_created(self, answer: WebAnswer) -> str | Verdict:
        """Its id."""
        return segments.created(answer)

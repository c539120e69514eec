"""The retail-media connector's declaration, and the connector itself."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.connectors.base import Request, Settings, Target, WebConnector
from services.connectors.declaration import RESYNC, Declaration, Identifier, Limits, SecretField, SettingField
from services.connectors.grouping import of_one_kind
from services.connectors.oauth import client_credentials
from services.connectors.retail_media import contact_list
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
            "segment_id", "text", "The audience segment, which exists and is a contact list of the id type",
            required=True, pattern=r"[0-9]{1,20}",
        ),
        RESYNC,
    ),
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
    verification=(
        "A token is fetched, and `GET /retail-media/accounts` must name an account that the app has consent for. "
        "Segments are named by connections, and not looked at."
    ),
    met=(
        "Built by Criteo's published reference and tried on a local server that holds to it, and on the models of "
        "`criteo-api-retailmedia-sdk`. It has not met the live service."
    ),
)  # fmt: skip


class RetailMedia(WebConnector):
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

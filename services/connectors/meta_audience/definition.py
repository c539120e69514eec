"""The meta-audience connector's declaration, and the connector itself."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.connectors.base import Request, Settings, Target, WebConnector
from services.connectors.declaration import Declaration, Identifier, Limits, SecretField, SettingField
from services.connectors.grouping import of_one_kind
from services.connectors.meta_audience import users
from services.domain.delivery.answers import Verdict
from services.domain.delivery.merge import Item
from services.runtime.web import WebAnswer, WebRequest

DECLARATION: Final = Declaration(
    slug="meta-audience",
    title="Meta custom audiences",
    settings=(
        SettingField("api_version", "text", "The Graph API's version", default="v24.0", pattern=r"v[0-9]{1,3}\.[0-9]"),
        SettingField("url", "url", "Where the Graph API is", default="https://graph.facebook.com"),
    ),
    secrets=(
        SecretField("access_token", "A system user's token that may manage ads (ads_management)", required=True),
        SecretField("app_secret", "The app's secret, where the app asks for proofs of it"),
    ),
    connection_settings=(
        SettingField("audience_id", "text", "The custom audience, which exists", required=True, pattern=r"[0-9]{1,20}"),
    ),
    identifiers=tuple(
        Identifier(id_type, schema, "hex" if schema.endswith("SHA256") else "as it is")
        for id_type, schema in users.SCHEMAS.items()
    ),
    limits=Limits(items_per_request=10_000, items_per_request_max=10_000),
    removal="A member that exits is removed by a DELETE, at once; Meta takes up to 24 hours to follow.",
    verification=(
        "`GET /me/permissions`: the token is good, and `ads_management` is granted to it. Audiences are named by "
        "connections, and not looked at."
    ),
    met=(
        "Built by Meta's published reference and tried on a local server that holds to it, and on the payloads of "
        "`facebook-business`. It has not met the live service."
    ),
)


class MetaAudience(WebConnector):
    """The connector `meta-audience`."""

    declaration = DECLARATION

    def requests(self, items: Sequence[Item], settings: Settings) -> list[Request]:  # noqa: ARG002 - none says how
        """One for each connection, operation and id type."""
        return [users.request(group) for group in of_one_kind(items)]

    def attempt(self, request: Request, target: Target) -> WebRequest:
        """The request with its credentials."""
        return users.attempt(request, target)

    def outcomes(self, request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
        """One verdict for all."""
        return users.outcomes(request, answer)

    def verification(self, target: Target) -> WebRequest:
        """A look at the token's permissions."""
        return users.verification(target)

    def verified(self, answer: WebAnswer) -> Verdict:
        """The one that we need is among them."""
        return users.verified(answer)

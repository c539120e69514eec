"""The meta-audience connector's declaration, and the connector itself."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.connectors.base import (
    ListingConnector,
    ListsFound,
    ReplacingConnector,
    Request,
    Settings,
    Target,
    Whole,
)
from services.connectors.declaration import (
    LIST_NAME,
    RESYNC,
    Declaration,
    Identifier,
    Limits,
    ListMaking,
    Replacement,
    SecretField,
    SettingField,
)
from services.connectors.grouping import of_one_kind
from services.connectors.meta_audience import audiences, sessions, users
from services.domain.delivery.answers import Verdict
from services.domain.delivery.merge import Item
from services.domain.delivery.replacement import Part
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
        SettingField("audience_id", "text", "The custom audience, if it exists", pattern=r"[0-9]{1,20}"),
        SettingField("audience_name", "text", "Else the name by which it is found, or made", pattern=LIST_NAME),
        SettingField("ad_account_id", "text", "The ad account that has it, without act_", pattern=r"[0-9]{1,20}"),
        SettingField(
            "customer_file_source", "choice", "Of an audience that is made: who has given members' data",
            default="USER_PROVIDED_ONLY", choices=audiences.SOURCES,
        ),
        RESYNC,
    ),
    list_making=ListMaking("audience_id", ("audience_name", "ad_account_id")),
    replacement=Replacement(
        "All members go to `/usersreplace` in one session, ten thousand a request; with the last request they take the "
        "place of whoever the audience holds. A session that breaks off is begun again, and changes nothing before. An "
        "audience without members is replaced by one row that is nobody's, as Meta takes no empty one.",
        minutes_max=sessions.MINUTES_MAX,
    ),
    identifiers=tuple(
        Identifier(id_type, schema, "hex" if schema.endswith("SHA256") else "as it is")
        for id_type, schema in users.SCHEMAS.items()
    ),
    limits=Limits(items_per_request=10_000, items_per_request_max=10_000),
    removal="A member that exits is removed by a DELETE, at once; Meta takes up to 24 hours to follow.",
    lists=(
        "A custom audience of customers. One that is named by `audience_name` and `ad_account_id` is looked for among "
        "the account's audiences, and made by `POST /act_<ad_account_id>/customaudiences` where there is none."
    ),
    verification=(
        "`GET /me/permissions`: the token is good, and `ads_management` is granted to it. Audiences are named by "
        "connections, and not looked at."
    ),
    met=(
        "Built by Meta's published reference and tried on a local server that holds to it, and on the payloads of "
        "`facebook-business`. It has not met the live service."
    ),
)  # fmt: skip


class MetaAudience(ListingConnector, ReplacingConnector):
    """The connector `meta-audience`."""

    declaration = DECLARATION

    def requests(self, items: Sequence[Item], settings: Settings) -> list[Request]:  # noqa: ARG002 - none says how
        """One for each connection, operation and id type."""
        return [users.request(group) for group in of_one_kind(items)]

    def attempt(self, request: Request, target: Target) -> WebRequest:
        """The request with its credentials."""
        return users.attempt(request, target) if request.part is None else sessions.attempt(request, target)

    def outcomes(self, request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
        """One verdict for all."""
        part = request.part
        return users.outcomes(request, answer) if part is None else sessions.outcomes(request, part, answer)

    def replacement(self, whole: Whole, part: Part, settings: Settings) -> Request:  # noqa: ARG002 - none says how
        """A request of a session."""
        return sessions.request(whole, part)

    def verification(self, target: Target) -> WebRequest:
        """A look at the token's permissions."""
        return users.verification(target)

    def verified(self, answer: WebAnswer) -> Verdict:
        """The one that we need is among them."""
        return users.verified(answer)

    def list_search(self, target: Target, page: str | None) -> WebRequest:
        """A page of the account's audiences."""
        return audiences.search(target, page)

    def lists_found(self, answer: WebAnswer, target: Target, id_type: str) -> ListsFound | Verdict:  # noqa: ARG002 - any
        """Those of customers; they take all types."""
        return audiences.found(answer, target.connection)

    def list_creation(self, target: Target, id_type: str) -> WebRequest:  # noqa: ARG002 - audiences take all types
        """One of customers."""
        return audiences.creation(target)

    def list_created(self, answer: WebAnswer) -> str | Verdict:
        """Its id."""
        return audiences.created(answer)

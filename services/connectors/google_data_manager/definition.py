"""The google-data-manager connector's declaration, and the connector itself."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.connectors.base import ListingConnector, ListsFound, PolledConnector, Report, Request, Settings, Target
from services.connectors.declaration import (
    LIST_NAME,
    RESYNC,
    Declaration,
    Identifier,
    Limits,
    ListMaking,
    Polling,
    SecretField,
    SettingField,
)
from services.connectors.google_data_manager import audience_members, request_status, user_lists
from services.connectors.grouping import grouped
from services.connectors.oauth import refreshed
from services.domain.delivery.answers import Verdict
from services.domain.delivery.merge import Item
from services.runtime.web import WebAnswer, WebRequest

_ACCOUNT_TYPES: Final = ("GOOGLE_ADS", "DISPLAY_VIDEO_PARTNER", "DISPLAY_VIDEO_ADVERTISER", "DATA_PARTNER")
_CONSENT: Final = ("granted", "denied")

DECLARATION: Final = Declaration(
    slug="google-data-manager",
    title="Google audiences, by the Data Manager API",
    settings=(
        SettingField(
            "operating_account_id", "text", "The account that has the audience", required=True, pattern=r"[0-9]{1,20}"
        ),
        SettingField(
            "operating_account_type", "choice", "Its kind", default="GOOGLE_ADS", choices=_ACCOUNT_TYPES,
        ),
        SettingField(
            "login_account_id", "text", "The manager account whose user the token is of, where that is another",
            pattern=r"[0-9]{1,20}",
        ),
        SettingField("login_account_type", "choice", "Its kind", default="GOOGLE_ADS", choices=_ACCOUNT_TYPES),
        SettingField(
            "ad_user_data", "choice", "Members' consent to send their data for ads; none: not said", choices=_CONSENT,
        ),
        SettingField(
            "ad_personalization", "choice", "Members' consent to personalised ads; none: not said", choices=_CONSENT,
        ),
        SettingField(
            "terms_accepted", "boolean", "Whether the Customer Match terms are accepted with each upload", default=False
        ),
        SettingField(
            "quota_project", "text", "The Google Cloud project whose quota is used",
            pattern=r"[a-z][a-z0-9-]{4,28}[a-z0-9]",
        ),
        SettingField("url", "url", "Where the API is", default="https://datamanager.googleapis.com"),
        SettingField("token_url", "url", "Where tokens are", default="https://oauth2.googleapis.com/token"),
    ),
    secrets=(
        SecretField("client_id", "The OAuth client's id", required=True),
        SecretField("client_secret", "Its secret", required=True),
        SecretField("refresh_token", "What the client was given for scope datamanager", required=True),
    ),
    connection_settings=(
        SettingField(
            "audience_id", "text", "The audience (user list), if it exists: one that takes the id type",
            pattern=r"[0-9]{1,20}",
        ),
        SettingField("audience_name", "text", "Else the name by which it is found, or made", pattern=LIST_NAME),
        RESYNC,
    ),
    list_making=ListMaking("audience_id", ("audience_name",)),
    identifiers=tuple(
        Identifier(id_type, kind, "hex" if kind == "userData" else "as it is")
        for id_type, kind in audience_members.KINDS.items()
    ),
    limits=Limits(
        items_per_request=10_000,
        items_per_request_max=10_000,
        requests_per_second=5.0,  # 300 a minute for a project
    ),
    polling=Polling(every_seconds=1800, hours_max=48),
    removal=(
        "A member that exits is removed by a request of its own, for which Google wants no consent. It takes effect "
        "when Google has processed it, within hours."
    ),
    lists=(
        "A user list of the operating account. One that is named by `audience_name` is looked for among the account's, "
        "and made by `POST /v1/accountTypes/<type>/accounts/<id>/userLists` where there is none. Members of a list "
        "that is made stay as long as they do by Google's default (540 days). A list of mobile ids belongs to one app, "
        "and has to exist."
    ),
    verification=(
        "A token is granted, and `GET /v1/accountTypes/<type>/accounts/<id>/userLists` must show the operating "
        "account's audiences. Which of them connections name is not looked at."
    ),
    matching=(
        "With the status of a request comes the range of the share of its members that Google knows, in per cent "
        "(`31-40`). The last is the activation's `match_rate`, and stands in `audiences.statistics`; it tells no count."
    ),
    met=(
        "Built by Google's published reference and protobuf definitions, and tried on a local server that reads "
        "requests with the models of `google-ads-datamanager`. It has not met the live service."
    ),
)  # fmt: skip


class GoogleAudiences(PolledConnector, ListingConnector):
    """The connector `google-data-manager`."""

    declaration = DECLARATION

    def grant(self, target: Target) -> WebRequest:
        """By the refresh token that somebody has consented to."""
        names = ("client_id", "client_secret", "refresh_token")
        return refreshed(str(target.settings["token_url"]), *(target.secrets[name] for name in names))

    def requests(self, items: Sequence[Item], settings: Settings) -> list[Request]:
        """One for each activation, operation and id type: what Google reports about it is about one activation."""

        def kind(item: Item) -> tuple[str, str, str]:
            return item.delivery.activation_id, item.delivery.operation, item.delivery.id_type

        return [audience_members.request(group, settings) for _, group in grouped(items, kind)]

    def attempt(self, request: Request, target: Target) -> WebRequest:
        """The request with its token."""
        return audience_members.attempt(request, target)

    def outcomes(self, request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
        """One verdict for all that are not refused alone."""
        return audience_members.outcomes(request, answer)

    def refused_members(self, request: Request, answer: WebAnswer) -> Mapping[str, Sequence[str]]:
        """Those for which Google refuses the request."""
        return audience_members.refused(request, answer)

    def verification(self, target: Target) -> WebRequest:
        """A look at the account's audiences."""
        return audience_members.verification(target)

    def verified(self, answer: WebAnswer) -> Verdict:
        """They are shown."""
        return audience_members.verified(answer)

    def receipt(self, answer: WebAnswer) -> str | None:
        """Google's request id."""
        return audience_members.receipt(answer)

    def inquiry(self, receipt: str, target: Target) -> WebRequest:
        """Asks for the request's status."""
        return request_status.inquiry(receipt, target)

    def report(self, answer: WebAnswer) -> Report | None:
        """How many records failed, and Google's range of matches."""
        return request_status.report(answer)

    def list_search(self, target: Target, page: str | None) -> WebRequest:
        """The account's user lists of the name."""
        return user_lists.search(target, page)

    def lists_found(self, answer: WebAnswer, target: Target, id_type: str) -> ListsFound | Verdict:
        """Those that take the type."""
        return user_lists.found(answer, target.connection, id_type)

    def list_creation(self, target: Target, id_type: str) -> WebRequest:
        """One that takes the type."""
        return user_lists.creation(target, id_type)

    def list_created(self, answer: WebAnswer) -> str | Verdict:
        """Its id."""
        return user_lists.created(answer)

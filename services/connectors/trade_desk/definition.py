"""The trade-desk connector's declaration, and the connector itself."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.connectors.base import Request, Settings, Target, WebConnector
from services.connectors.declaration import Declaration, Identifier, Limits, SecretField, SettingField
from services.connectors.trade_desk import advertiser_data
from services.domain.delivery.answers import Verdict
from services.domain.delivery.merge import Item
from services.runtime.web import WebAnswer, WebRequest

DECLARATION: Final = Declaration(
    slug="trade-desk",
    title="The Trade Desk first-party data",
    settings=(
        SettingField(
            "url", "url", "The advertiser's data centre, as https://use-data.adsrvr.org", required=True,
        ),
        SettingField("advertiser_id", "text", "The advertiser", required=True, pattern=r"[A-Za-z0-9]{1,64}"),
        SettingField(
            "ttl_minutes", "integer", "How long a member stays unless it is sent again", default=129_600,
            minimum=43_200, maximum=259_200,
        ),
    ),
    secrets=(SecretField("token", "A token of the platform's API that may send the advertiser's data", required=True),),
    identifiers=tuple(Identifier(id_type, name) for id_type, name in advertiser_data.ID_NAMES.items()),
    limits=Limits(items_per_request=5_000, items_per_request_max=20_000, bytes_per_request_max=2_500_000),
    removal=(
        "A member that exits is sent with a time to live of 0, at once."
    ),
    refresh_days=15,  # half of the shortest time to live
    lists="A segment with the activation's name, made by the first line that names it.",
    verification=(
        "A request of no lines is posted: the token and its right to the advertiser's data are judged, nothing is "
        "written. An answer that lines are missing is a good one."
    ),
    met=(
        "Built by the published OpenAPI of the Data API and tried on a local server that holds to it. It has not met "
        "the live service."
    ),
)  # fmt: skip


class TradeDesk(WebConnector):
    """The connector `trade-desk`."""

    declaration = DECLARATION

    def requests(self, items: Sequence[Item], settings: Settings) -> list[Request]:
        """One for all: each line says for itself whom it puts where."""
        return [advertiser_data.request(items, settings)]

    def attempt(self, request: Request, target: Target) -> WebRequest:
        """The request with its token."""
        return advertiser_data.attempt(request, target)

    def outcomes(self, request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
        """Delivered, where not every line of an item has failed."""
        return advertiser_data.outcomes(request, answer)

    def refused_members(self, request: Request, answer: WebAnswer) -> Mapping[str, Sequence[str]]:
        """Those of the failed lines."""
        return advertiser_data.failed(request, answer) or {}

    def verification(self, target: Target) -> WebRequest:
        """A request of no lines."""
        return advertiser_data.verification(target)

    def verified(self, answer: WebAnswer) -> Verdict:
        """Lines are missing, and nothing else."""
        return advertiser_data.verified(answer)

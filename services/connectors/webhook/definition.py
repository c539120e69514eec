"""The webhook connector's declaration, and the connector itself, put together from `requests` and `send`."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.connectors.base import Request, Settings, Target, WebConnector
from services.connectors.declaration import ANY_NAME, Declaration, Limits, SecretField, SettingField
from services.connectors.webhook import requests, send
from services.domain.delivery.answers import Verdict
from services.domain.delivery.merge import Item
from services.runtime.web import WebAnswer, WebRequest

DECLARATION: Final = Declaration(
    slug="webhook",
    title="Webhook",
    settings=(
        SettingField("url", "url", "Where the requests are posted", required=True),
        SettingField(
            "timeout_seconds", "number", "How long one request may take", default=15.0, minimum=1.0, maximum=30.0
        ),
    ),
    secrets=(
        SecretField(
            ANY_NAME,
            "A signing secret (whsec_…). Each of several signs, so that a new one can take over from an old",
        ),
    ),
    limits=Limits(items_per_request=1_000, items_per_request_max=10_000),
    removal='A member that exits is in an entry with `"change":"exited"`, at once.',
)


class Webhook(WebConnector):
    """The connector `webhook`."""

    declaration = DECLARATION

    def requests(self, items: Sequence[Item], settings: Settings) -> list[Request]:  # noqa: ARG002 - none says how
        """One request with all of the items."""
        return [requests.request(items)]

    def attempt(self, request: Request, target: Target) -> WebRequest:
        """The request, signed for this moment."""
        return send.signed(request, target)

    def outcomes(self, request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
        """One verdict for all, by the status alone."""
        return send.outcomes(request, answer)

"""The webhook connector's declaration, and the connector itself, put together from `requests` and `send`."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.connectors.base import Request, Settings, Target, WebConnector
from services.connectors.declaration import ANY_NAME, Declaration, Limits, SecretField, SettingField
from services.connectors.events import PAYLOAD
from services.connectors.grouping import grouped
from services.connectors.webhook import requests, send
from services.domain.delivery.answers import Verdict, judge
from services.domain.delivery.merge import Item
from services.runtime.web import WebAnswer, WebRequest

DECLARATION: Final = Declaration(
    slug="webhook",
    title="Webhook",
    settings=(
        SettingField("url", "url", "Where the requests are posted", required=True),
        SettingField(
            "body",
            "choice",
            "What is posted: the changes of many members, or an event for each member",
            default="changes",
            choices=("changes", "event"),
        ),
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
    mapping=(PAYLOAD,),
    removal='A member that exits is in an entry with `"change":"exited"`, or is an event that says false, at once.',
    lists="Whatever the receiver makes of it: each entry names its audience and its activation.",
    verification=(
        'A message `{"type":"usher.verify","deliveries":[],"at":…}` is posted, signed like every other: answer it with '
        "a 2xx and do nothing."
    ),
)


class Webhook(WebConnector):
    """The connector `webhook`."""

    declaration = DECLARATION

    def requests(self, items: Sequence[Item], settings: Settings) -> list[Request]:
        """One request with all of the items, or one for each member: where it is set so, or a mapping asks for it."""

        def singly(item: Item) -> bool:
            return settings["body"] == "event" or item.delivery.mapping is not None

        return [
            request
            for alone, group in grouped(items, singly)
            for request in (requests.events(group) if alone else [requests.request(group)])
        ]

    def attempt(self, request: Request, target: Target) -> WebRequest:
        """The request, signed for this moment."""
        return send.signed(request, target)

    def outcomes(self, request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
        """One verdict for all, by the status alone."""
        return send.outcomes(request, answer)

    def verification(self, target: Target) -> WebRequest:
        """A message of no deliveries."""
        return send.signed(requests.verification(target.now_ms), target)

    def verified(self, answer: WebAnswer) -> Verdict:
        """By the status alone."""
        return judge(answer.status)

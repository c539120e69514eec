"""What every connector is (README.md has the specification). The lanes of `services.activation` are the only caller.

A connector is three pure functions over a declaration. Batching, the HTTP client, rate limits, retries, deduplication,
secrets and deadlines are the engine's, so that they are right once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.connectors.declaration import Declaration
from services.domain.delivery.answers import Verdict
from services.domain.delivery.merge import Item
from services.runtime.web import WebAnswer, WebRequest


class Secret:
    """A secret's value, which shows itself only to who asks for it by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return "Secret(…)"


class SecretUnavailable(Exception):  # noqa: N818 - named for the state of the secret, as the failure tree does
    """A secret can't be read, or isn't of the form that the connector needs; the text never holds its value."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it stays over all attempts. `id` is a function of the content: same id, same bytes."""

    id: str
    items: tuple[Item, ...]
    body: bytes


class Connector(Protocol):
    """Stateless; one object serves all destinations. No method does I/O, waits, or reads a clock."""

    @property
    def declaration(self) -> Declaration: ...

    def requests(self, items: Sequence[Item]) -> list[Request]:
        """Requests that together carry each of the items once, in their order.

        `items` are within the limits for one request and name no identity of an activation twice.
        """
        ...

    def attempt(
        self, request: Request, settings: Mapping[str, object], secrets: Mapping[str, Secret], now_ms: int
    ) -> WebRequest:
        """The request as it goes out now: address, credentials, time stamps. Raises `SecretUnavailable`.

        `settings` are free of mistakes and complete: defaults are filled in.
        """
        ...

    def outcomes(self, request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
        """The verdict on each item by `Item.id`, whatever the answer's bytes. An item without one has failed."""
        ...

"""What every connector is (README.md has the specification). The lanes of `services.activation` are the only caller.

A connector is pure functions over a declaration. Batching, clients, rate limits, retries, deduplication, secrets and
deadlines are the engine's, so that they are right once.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from contracts.messages.delivery import Delivery
from services.connectors.declaration import REPLACE, RESYNC, Declaration
from services.domain.delivery.answers import Verdict
from services.domain.delivery.merge import Item
from services.domain.delivery.replacement import Part
from services.runtime.outlets import Check, Effect
from services.runtime.secret import Secret
from services.runtime.web import WebAnswer, WebRequest

Settings = Mapping[str, object]
"""Free of mistakes and complete: defaults are filled in."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request as it stays over all attempts. `id` is a function of the content: same id, same bytes.

    One with a `part` of a whole list has that list's `Whole.item` alone for its items.
    """

    id: str
    items: tuple[Item, ...]
    body: bytes
    part: Part | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Whom one attempt goes to, and when. `connection` has the connection's settings where the declaration asks any."""

    settings: Settings
    secrets: Mapping[str, Secret]
    now_ms: int
    connection: Settings = field(default_factory=dict)
    token: Secret | None = None
    """Of a connector with a `grant`: one that is good for now."""


class Connector(ABC):
    """Stateless; one object serves all destinations. No method does I/O, waits, or reads a clock."""

    declaration: Declaration

    @abstractmethod
    def requests(self, items: Sequence[Item], settings: Settings) -> list[Request]:
        """Requests that together carry each of the items once; those of one identity keep their order.

        `items` are within the limits for one request and name no identity of an activation twice.
        """

    def refuses(self, id_type: str, settings: Settings) -> str | None:  # noqa: ARG002 - files look at them
        """Why identities of this id type can't be sent there, None: they can."""
        taken = [one.id_type for one in self.declaration.identifiers]
        return None if not taken or id_type in taken else f"of id type {id_type}; it takes {', '.join(taken)}"

    def replaces(self, connection: Settings) -> bool:
        """Whether a resync over such a connection takes the place of what its list holds.

        Then an `Item` may be `clear`, alone: empty it; unless it is a `ReplacingConnector`.
        """
        return RESYNC in self.declaration.connection_settings and connection[RESYNC.name] == REPLACE


class WebConnector(Connector):
    """Sends by HTTP; the answer may speak of single items."""

    def grant(self, target: Target) -> WebRequest | None:  # noqa: ARG002 - most have no tokens that are fetched
        """The request for an access token (`oauth`), for a destination that wants one. Raises `SecretUnavailable`."""
        return None

    @abstractmethod
    def attempt(self, request: Request, target: Target) -> WebRequest:
        """The request as it goes out now: address, credentials, time stamps. Raises `SecretUnavailable`."""

    @abstractmethod
    def outcomes(self, request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
        """The verdict on each item by `Item.id`, whatever the answer's bytes. An item without one has failed."""

    def refused_members(
        self,
        request: Request,  # noqa: ARG002 - few answers name any
        answer: WebAnswer,  # noqa: ARG002 - the same
    ) -> Mapping[str, Sequence[str]]:
        """By `Item.id`, those members whom the answer names as refused. The item's verdict is on the others."""
        return {}

    @abstractmethod
    def verification(self, target: Target) -> WebRequest:
        """A request that shows whether we are let in, and changes nothing there that anybody would have to undo.

        Of no connection: `target.connection` is empty. Raises `SecretUnavailable`.
        """

    @abstractmethod
    def verified(self, answer: WebAnswer) -> Verdict:
        """`DELIVERED`: we are let in. Anything else says why not, whatever the answer's bytes."""


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a request that was taken: `failed` of its members, None for all, and why, without identifiers.

    `matched`: the share of them that the destination knows, in per cent, as `31-40`.
    """

    failed: int | None
    detail: str = ""
    matched: str | None = None


class PolledConnector(WebConnector):
    """Its destination takes a request at once and says later, asked by a receipt, what became of it.

    A request is of one activation, so that its report is too. `declaration.polling` says when it is asked.
    """

    @abstractmethod
    def receipt(self, answer: WebAnswer) -> str | None:
        """What to ask by, of an answer that delivered its items; None: there is nothing to ask."""

    @abstractmethod
    def inquiry(self, receipt: str, target: Target) -> WebRequest:
        """The question; `target` has no connection. Raises `SecretUnavailable`."""

    @abstractmethod
    def report(self, answer: WebAnswer) -> Report | None:
        """What a good answer says, whatever its bytes; None: it is not done yet, or nothing we understand."""


@dataclass(frozen=True, slots=True)
class ListsFound:
    """Ids of the lists with the wanted name, of one answer to a search; `next_page` None: that was the last of it."""

    ids: tuple[str, ...]
    next_page: str | None = None


class ListingConnector(WebConnector):
    """Its destination's lists are found by their name, and made, as `declaration.list_making` and connections say.

    The engine looks before it makes one, and again after each answer that it did not get.
    """

    @abstractmethod
    def list_search(self, target: Target, page: str | None) -> WebRequest:
        """The question for lists of the name, or for all; `page` is the `next_page` of the answer before."""

    @abstractmethod
    def lists_found(self, answer: WebAnswer, target: Target, id_type: str) -> ListsFound | Verdict:
        """Those of exactly the name that take identities of the type, whatever the answer's bytes.

        A verdict, never `DELIVERED`, where it says nothing of them, or of one with the name that can't be used.
        """

    @abstractmethod
    def list_creation(self, target: Target, id_type: str) -> WebRequest:
        """The request that makes the list. Raises `Rejected` where the destination makes none such."""

    @abstractmethod
    def list_created(self, answer: WebAnswer) -> str | Verdict:
        """The id of the list that was made, whatever the answer's bytes; a verdict, never `DELIVERED`, where none was.

        `UNAVAILABLE` also where there is one of the name by now: it is looked for again.
        """


@dataclass(frozen=True, slots=True)
class Whole:
    """A list that takes the place of what is there, at once: the `members` members of the resync that `clear` is of.

    `id` is of this try: parts of one try have one id. `item` is what their answers are about, all of them together.
    """

    id: str
    item: Item
    clear: Delivery
    members: int


class ReplacingConnector(WebConnector):
    """Its destination replaces a list as a whole, by parts that take effect with the last of them.

    `declaration.replacement` says how. The engine sends the parts one after another, each until it is delivered, and
    nothing else to that list meanwhile; a resync that is refused for good adds its members. An answer whose verdict is
    `UNAVAILABLE` with `codes.DELIVERY_REPLACEMENT_BROKEN` has it begin again with the first part, under another id.
    """

    @abstractmethod
    def replacement(self, whole: Whole, part: Part, settings: Settings) -> Request | None:
        """The request of one part; None: of an empty list there is nothing to send."""

    def completion(self, whole: Whole, sent: Sequence[Request], settings: Settings) -> Request | None:  # noqa: ARG002 - files need one
        """What makes the parts that were sent the list, where the last of them does not; they have no bodies here."""
        return None


class EffectConnector(Connector):
    """Sends by another way: a request takes effect as a whole, or an exception of `Outlets.carry_out` says why not."""

    @abstractmethod
    def effect(self, request: Request, target: Target) -> Effect:
        """What shall be so at the destination. Raises `SecretUnavailable`, and `Rejected` where it can't be."""

    @abstractmethod
    def check(self, target: Target) -> Check:
        """What must be so before anything can be sent; of no connection. Raises `SecretUnavailable`."""

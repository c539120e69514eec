"""Which items go into one request: of one kind, and not more bytes than the destination takes."""

from collections.abc import Callable, Hashable, Sequence
from itertools import groupby
from typing import TypeVar

from services.connectors.base import Connector, Request, Settings
from services.domain.delivery.merge import Item, halved

K = TypeVar("K", bound=Hashable)


def grouped(items: Sequence[Item], kind: Callable[[Item], K]) -> list[tuple[K, list[Item]]]:
    """The items by kind, each group in order, in as few groups as may be.

    An activation names an identity once in a batch, so its items may change places. Two activations of one connection
    may name it both, and the later one must stay the later: then only neighbours are put together.
    """
    activation_of: dict[str, str] = {}
    for item in items:
        delivery = item.delivery
        if activation_of.setdefault(delivery.connection_id, delivery.activation_id) != delivery.activation_id:
            return [(key, list(group)) for key, group in groupby(items, kind)]
    groups: dict[K, list[Item]] = {}
    for item in items:
        groups.setdefault(kind(item), []).append(item)
    return list(groups.items())


def of_one_kind(items: Sequence[Item]) -> list[list[Item]]:
    """The items by connection, operation and id type, for lists that take one of each a request."""

    def kind(item: Item) -> tuple[str, str, str]:
        return item.delivery.connection_id, item.delivery.operation, item.delivery.id_type

    return [group for _, group in grouped(items, kind)]


def fitting(connector: Connector, items: Sequence[Item], settings: Settings) -> list[Request]:
    """The connector's requests, none larger than it declares: too large a one is made of half as many members.

    A function of its arguments, so that every attempt sends the same. One member that is too large alone is left as
    it is, for the destination to refuse.
    """
    bytes_max = connector.declaration.limits.bytes_per_request_max
    made: list[Request] = []
    for request in connector.requests(items, settings):
        parts = [request.items] if bytes_max is None or len(request.body) <= bytes_max else halved(request.items)
        if len(parts) == 1:
            made.append(request)
        else:
            made += [one for part in parts for one in fitting(connector, part, settings)]
    return made

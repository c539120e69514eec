"""What a lane still has to send of one batch: requests in order, planned once it is known how large they may be.

Pure; the lane drives it. Items leave it when they are settled, and only then.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Self

from contracts import codes
from services.connectors.base import Connector, Request, Settings
from services.connectors.grouping import fitting
from services.connectors.mapping_check import unmappable
from services.domain.delivery.answers import Fate, Verdict
from services.domain.delivery.merge import Item, Kept, cut, members_of


class Work:
    """The unsettled items of one batch for one destination."""

    def __init__(self, kept: Sequence[Kept]) -> None:
        self._unplanned = [one for one in kept if one.members or one.delivery.operation == "clear"]
        self._requests: deque[Request] = deque()
        self._to: tuple[Connector, Settings] | None = None

    @classmethod
    def of(cls, request: Request) -> Self:
        """The work of one request that is already made: it is sent again as it is, or not at all."""
        made = cls([])
        made._requests.append(request)
        return made

    def done(self) -> bool:
        return not self._unplanned and not self._requests

    def plan(self, connector: Connector, settings: Settings, items_per_request: int) -> list[tuple[Item, Verdict]]:
        """Makes requests of what there is; once made they stay, so that every attempt sends the first one's bytes.

        Returns what the connector can't send at all, with the reason.
        """
        refused: list[tuple[Item, Verdict]] = []
        for items in cut(self._unplanned, items_per_request):
            reasons = [_refusal(connector, settings, item) for item in items]
            refused += [(item, why) for item, why in zip(items, reasons, strict=True) if why is not None]
            fit = [item for item, why in zip(items, reasons, strict=True) if why is None]
            self._requests.extend(fitting(connector, fit, settings) if fit else [])
        if self._unplanned:
            self._to = connector, settings
        self._unplanned = []
        return refused

    def head(self) -> Request:
        """The request that is next: planned, and not done."""
        return self._requests[0]

    def settle_head(self, left: Sequence[Item]) -> None:
        """Of the next request only `left` must be sent again, at its place; all of it: the very same request."""
        if not left or members_of(left) < members_of(self._requests[0].items):
            self._requests.popleft()
            self._requests.extendleft(reversed(self._again(left)))

    def give_up(self, which: Callable[[Item], bool]) -> list[Item]:
        """Takes out the items that `which` names."""
        given: list[Item] = []
        for items in cut(self._unplanned, 1 << 62):
            given = [item for item in items if which(item)]
        indices = {item.index for item in given}
        self._unplanned = [one for one in self._unplanned if one.index not in indices]
        requests: list[Request] = []
        for request in self._requests:
            gone, left = _parted(request.items, which)
            given += gone
            requests += self._again(left) if gone else [request]
        self._requests = deque(requests)
        return given

    def _again(self, left: Sequence[Item]) -> list[Request]:
        if not left:
            return []
        assert self._to is not None, "whoever has planned has a connector"
        connector, settings = self._to
        return fitting(connector, left, settings)


def _refusal(connector: Connector, settings: Settings, item: Item) -> Verdict | None:
    if item.delivery.operation == "clear":
        return None
    why = connector.refuses(item.delivery.id_type, settings)
    if why is not None:
        return Verdict(Fate.REFUSED, codes.DELIVERY_ID_TYPE_REFUSED, why)
    why = unmappable(connector.declaration, item.delivery)
    return None if why is None else Verdict(Fate.REFUSED, codes.MAPPING_INVALID, why)


def _parted(items: Iterable[Item], which: Callable[[Item], bool]) -> tuple[list[Item], list[Item]]:
    gone: list[Item] = []
    left: list[Item] = []
    for item in items:
        (gone if which(item) else left).append(item)
    return gone, left

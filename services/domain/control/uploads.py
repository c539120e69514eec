"""When each recurring activation next sends all its members again: in order, so that nobody looks at all of them."""

from bisect import bisect_left, insort

from contracts.messages.entities import Activation
from services.domain.control.schedule import next_upload_ms, uploads


class Uploads:
    """The next one of each activation after an instant, which follows the time of the space.

    What has passed makes room for the one after it. Only where the instant goes back, as when something was merely
    tried out, all are found anew.
    """

    def __init__(self) -> None:
        self._after_ms = 0
        self._activations: dict[str, Activation] = {}
        self._next: list[tuple[int, str]] = []

    def put(self, activation: Activation) -> None:
        """A recurring activation that was not there."""
        self._activations[activation.activation_id] = activation
        upload_ms = next_upload_ms(activation, self._after_ms)
        if upload_ms is not None:
            insort(self._next, (upload_ms, activation.activation_id))

    def remove(self, activation: Activation) -> None:
        """An activation that is no more, or has never been recurring."""
        if self._activations.pop(activation.activation_id, None) is None:
            return
        upload_ms = next_upload_ms(activation, self._after_ms)
        if upload_ms is not None:
            del self._next[bisect_left(self._next, (upload_ms, activation.activation_id))]

    def next_ms(self, after_ms: int) -> int | None:
        """The first upload of any after that instant."""
        self._move(after_ms)
        return self._next[0][0] if self._next else None

    def at(self, at_ms: int) -> set[str]:
        """The activations that send all their members at that instant."""
        self._move(at_ms - 1)
        return {id_ for _, id_ in self._next[: bisect_left(self._next, (at_ms + 1, ""))]}

    def count(self, after_ms: int, until_ms: int) -> int:
        """How many there are after an instant until another; the ends of activations that extend themselves move on."""
        return sum(uploads(one, after_ms, until_ms) for one in self._activations.values())

    def _move(self, after_ms: int) -> None:
        if after_ms < self._after_ms:
            due, self._next = list(self._activations), []
        else:
            passed = bisect_left(self._next, (after_ms + 1, ""))
            due = [id_ for _, id_ in self._next[:passed]]
            del self._next[:passed]
        self._after_ms = after_ms
        if not due:
            return
        later = ((next_upload_ms(self._activations[id_], after_ms), id_) for id_ in due)
        self._next = sorted([*self._next, *((at_ms, id_) for at_ms, id_ in later if at_ms is not None)])

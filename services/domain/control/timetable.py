"""When the activations and the scheduled audiences of a space have something due, kept up as they change."""

from bisect import bisect_left, insort
from collections.abc import Iterator

from contracts.instants import DAY_MS
from contracts.messages.entities import Activation, Audience, CatalogueEntity
from services.domain.control.schedule import extensions, next_minute_ms, period_ms, run_minutes
from services.domain.control.uploads import Uploads


class Timetable:
    """`runs`: the scheduled audiences by the minutes of the day at which they run, in order."""

    def __init__(self) -> None:
        self.runs: dict[int, list[str]] = {}
        self._instants: list[tuple[int, str]] = []  # every start and end, and of which activation, in order
        self._extending: dict[str, Activation] = {}
        self._uploads = Uploads()

    def entity(self, before: CatalogueEntity | None, now: CatalogueEntity | None) -> None:
        """An entity of any kind is new, another one, or (None) gone."""
        match before or now:
            case Activation():
                assert isinstance(before, Activation | None)
                assert isinstance(now, Activation | None)
                self.activation(before, now)
            case Audience():
                assert isinstance(before, Audience | None)
                assert isinstance(now, Audience | None)
                self.audience(before, now)

    def activation(self, before: Activation | None, now: Activation | None) -> None:
        """An activation is new, another one, or (None) gone."""
        if before is not None:
            for instant in _instants(before):
                del self._instants[bisect_left(self._instants, instant)]
            self._extending.pop(before.activation_id, None)
            self._uploads.remove(before)
        if now is not None:
            for instant in _instants(now):
                insort(self._instants, instant)
            if now.extend:
                self._extending[now.activation_id] = now
            if now.recurring:
                self._uploads.put(now)

    def audience(self, before: Audience | None, now: Audience | None) -> None:
        """An audience is new, another one, or (None) gone."""
        for minute in () if before is None else run_minutes(before):
            assert before is not None
            self.runs[minute].remove(before.audience_id)
            if not self.runs[minute]:
                del self.runs[minute]
        for minute in () if now is None else run_minutes(now):
            assert now is not None
            insort(self.runs.setdefault(minute, []), now.audience_id)

    def activations_at(self, at_ms: int) -> Iterator[tuple[str, bool]]:
        """The activations that start, end or send all members again at that instant, and whether they do the last."""
        within = slice(bisect_left(self._instants, (at_ms, "")), bisect_left(self._instants, (at_ms + 1, "")))
        uploads = self._uploads.at(at_ms)
        for id_ in sorted({id_ for _, id_ in self._instants[within]} | uploads):
            yield id_, id_ in uploads

    def count(self, after_ms: int, until_ms: int) -> int:
        """How many runs, starts, ends and uploads there are after an instant until another, if nothing changes.

        An end that moves on is counted wherever it moves to. Looks at every activation that extends itself or recurs.
        """
        days = (until_ms - after_ms) // DAY_MS + 1
        fixed = bisect_left(self._instants, (until_ms + 1, "")) - bisect_left(self._instants, (after_ms + 1, ""))
        moves = sum(extensions(one, after_ms, until_ms) for one in self._extending.values())
        return fixed + moves + len(self.runs) * days + self._uploads.count(after_ms, until_ms)

    def next_ms(self, after_ms: int) -> Iterator[int]:
        """What is due next of each, after that instant."""
        at = bisect_left(self._instants, (after_ms + 1, ""))
        yield from (instant for instant, _ in self._instants[at : at + 1])
        upload_ms = self._uploads.next_ms(after_ms)
        if upload_ms is not None:
            yield upload_ms
        yield from (next_minute_ms(after_ms, minute) for minute in self.runs)


def _instants(activation: Activation) -> list[tuple[int, str]]:
    return [(at_ms, activation.activation_id) for at_ms in period_ms(activation) if at_ms is not None]

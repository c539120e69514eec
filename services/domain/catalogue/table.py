"""Rows by id, and which of them have changed since they were last written."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Generic, Self, TypeVar

R = TypeVar("R")


@dataclass(slots=True)
class _Order:
    """Ids in the order of one field, as it was before `touched` changed."""

    ids: list[str]
    touched: set[str] = field(default_factory=set)


class Table(Generic[R]):
    """Rows are immutable: a change is a new row. Iterates in the order of ids, so that a restored table does too."""

    def __init__(self) -> None:
        self._rows: dict[str, R] = {}
        self._changed: dict[str, None] = {}
        self._before: dict[str, R | None] | None = None  # of what was changed since `take_notice`
        self._orders: dict[str, _Order] = {}  # by field; "" is the id

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._rows

    def __iter__(self) -> Iterator[R]:
        return iter(self.ordered())

    def get(self, row_id: str) -> R | None:
        return self._rows.get(row_id)

    def unordered(self) -> Iterable[R]:
        """All rows, for what does not depend on their order."""
        return self._rows.values()

    def ordered(self, by: str = "") -> list[R]:
        """All rows by a field and then by id, by id alone where none is named.

        An order is kept from its first use on. What has changed since is sorted in again: two runs that are in order
        are merged in the time that it takes to look at each row.
        """
        order = self._orders.get(by)
        if order is None:
            order = self._orders[by] = _Order([], set(self._rows))
        if order.touched:
            more = sorted(row_id for row_id in order.touched if row_id in self._rows)
            ids = [row_id for row_id in order.ids if row_id not in order.touched]
            if by:
                read = attrgetter(by)
                more.sort(key=lambda row_id: read(self._rows[row_id]))
                ids = sorted(ids + more, key=lambda row_id: (read(self._rows[row_id]), row_id))
            else:
                ids = sorted(ids + more)
            order = self._orders[by] = _Order(ids)
        rows = self._rows
        return [rows[row_id] for row_id in order.ids]

    def oldest(self) -> R | None:
        """The row that was added first (or loaded first)."""
        return next(iter(self._rows.values()), None)

    def put(self, row_id: str, row: R) -> None:
        """Sets a row and marks it changed."""
        if self._before is not None:
            self._before.setdefault(row_id, self._rows.get(row_id))
        self._rows[row_id] = row
        self._changed[row_id] = None
        self._touch(row_id)

    def drop(self, row_id: str) -> None:
        """Removes a row, if it is there, and marks it changed."""
        before = self._rows.pop(row_id, None)
        if before is not None:
            if self._before is not None:
                self._before.setdefault(row_id, before)
            self._changed[row_id] = None
            self._touch(row_id)

    def load(self, row_id: str, row: R) -> None:
        """Sets a row as it was restored: not changed."""
        self._rows[row_id] = row
        self._touch(row_id)

    def changed(self) -> Iterator[R]:
        """The changed rows that are there, as `drain` would give them."""
        return (self._rows[row_id] for row_id in self._changed if row_id in self._rows)

    def drain(self) -> Iterator[tuple[str, R | None]]:
        """The changed rows as they now stand, None for those that are gone; afterwards none is changed."""
        changed, self._changed = self._changed, {}
        for row_id in changed:
            yield row_id, self._rows.get(row_id)

    def take_notice(self) -> None:
        """Until `noticed` is read, changes are noticed."""
        self._before = {}

    def noticed(self) -> Iterator[tuple[str, R | None, R | None]]:
        """(id, row before, row now) of what was put or dropped since `take_notice`."""
        noticed, self._before = self._before or {}, None
        for row_id, before in noticed.items():
            yield row_id, before, self._rows.get(row_id)

    def copy(self) -> Self:
        """Rows shared, everything else its own: for trying something out."""
        twin = type(self)()
        twin._rows = dict(self._rows)  # noqa: SLF001 - its own class
        twin._changed = dict(self._changed)  # noqa: SLF001 - its own class
        return twin

    def _touch(self, row_id: str) -> None:
        for order in self._orders.values():
            order.touched.add(row_id)

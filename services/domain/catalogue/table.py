"""Rows by id, and which of them have changed since they were last written."""

from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Generic, NamedTuple, TypeVar

from services.domain.catalogue.ordering import Column, Order

R = TypeVar("R")

Noticed = dict[tuple[str, str], Any]
_FEW = 16  # so many times fewer ids than there are rows are sorted by themselves


class _Tried(NamedTuple, Generic[R]):
    """What is put back of a row: itself (None: it was not there), and whether it had changed."""

    row: R | None
    was_changed: bool


class Table(Generic[R]):
    """Rows are immutable: a change is a new row. Iterates in the order of ids, so that a restored table does too.

    `noticed` takes the form before of each row that is changed, by the table's name and the row's id.
    """

    def __init__(self, name: str = "", noticed: Noticed | None = None) -> None:
        self._name = name
        self._noticed = noticed
        self._rows: dict[str, R] = {}
        self.get: Callable[[str], R | None] = self._rows.get  # the row of that id
        self._changed: dict[str, None] = {}
        self._tried: dict[str, _Tried[R]] | None = None  # of what was changed since `try_out`
        self._orders: dict[str, Order] = {}  # by field; "" is the id
        self._columns: dict[str, Column] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, row_id: object) -> bool:
        return row_id in self._rows

    def __iter__(self) -> Iterator[R]:
        return iter([self._rows[row_id] for _, row_id in self._order("").in_order()])

    def unordered(self) -> Iterable[R]:
        """All rows, for what does not depend on their order."""
        return self._rows.values()

    def page(self, by: str, offset: int, limit: int, *, among: set[str] | None = None, last_first: bool) -> list[R]:
        """Rows by a field and then by id, by id alone where none is named; `among` these ids, None: all."""
        order = self._order(by)
        if among is not None and len(among) * _FEW < len(self._rows):
            keys = sorted(order.key(row_id, self._rows[row_id]) for row_id in among)
            among = None
        else:
            keys = order.in_order()
        if last_first:
            keys = keys[::-1]
        ids = (row_id for _, row_id in keys if row_id in among) if among is not None else (one for _, one in keys)
        first = min(offset, len(keys))  # an offset may be any number, which islice does not take
        return [self._rows[row_id] for row_id in islice(ids, first, first + limit)]

    def having(self, field: str, values: Iterable[object]) -> set[str]:
        """The ids of the rows that have one of the values in a field; of a list, among its parts. Not to be changed."""
        column = self._columns.get(field)
        if column is None:
            column = self._columns[field] = Column(field, self._rows)
        return column.having(values)

    def oldest(self) -> R | None:
        """The row that was added first (or loaded first)."""
        return next(iter(self._rows.values()), None)

    def put(self, row_id: str, row: R) -> None:
        """Sets a row and marks it changed."""
        self._change(row_id, row)
        self._changed[row_id] = None

    def drop(self, row_id: str) -> None:
        """Removes a row, if it is there, and marks it changed."""
        if row_id in self._rows:
            self._change(row_id, None)
            self._changed[row_id] = None

    def load(self, row_id: str, row: R) -> None:
        """Sets a row as it was restored: not changed."""
        self._set(row_id, self._rows.get(row_id), row)

    def changed(self) -> Iterator[R]:
        """The changed rows that are there, as `drain` would give them."""
        return (self._rows[row_id] for row_id in self._changed if row_id in self._rows)

    def drain(self) -> Iterator[tuple[str, R | None]]:
        """The changed rows as they now stand, None for those that are gone; afterwards none is changed."""
        changed, self._changed = self._changed, {}
        for row_id in changed:
            yield row_id, self._rows.get(row_id)

    def try_out(self) -> None:
        """Until `undo`, what is changed can be undone."""
        assert self._tried is None, "one thing is tried out at a time"
        self._tried = {}

    def undo(self) -> list[tuple[str, R | None, R | None]]:
        """Everything is as it was at `try_out`: (id, what was tried, row) of what had changed.

        Only that a row which was dropped counts as the newest of its table.
        """
        tried, self._tried = self._tried or {}, None
        undone = [(row_id, self._rows.get(row_id), before.row) for row_id, before in tried.items()]
        for row_id, present, row in undone:
            self._set(row_id, present, row)
            if not tried[row_id].was_changed:
                self._changed.pop(row_id, None)
        return undone

    def _change(self, row_id: str, row: R | None) -> None:
        before = self._rows.get(row_id)
        if self._noticed is not None:
            self._noticed.setdefault((self._name, row_id), before)
        if self._tried is not None and row_id not in self._tried:
            self._tried[row_id] = _Tried(before, row_id in self._changed)
        self._set(row_id, before, row)

    def _set(self, row_id: str, before: R | None, row: R | None) -> None:
        if row is not None:
            self._rows[row_id] = row
        elif before is not None:
            del self._rows[row_id]
        for order in self._orders.values():
            order.change(row_id, before, row)
        for column in self._columns.values():
            if before is not None:
                column.take_out(row_id, before)
            if row is not None:
                column.add(row_id, row)

    def _order(self, by: str) -> Order:
        order = self._orders.get(by)
        if order is None:
            order = self._orders[by] = Order(by, self._rows)
        return order

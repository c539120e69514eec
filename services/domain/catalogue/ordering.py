"""By what rows are searched: the order of a field, and the rows that have a value in a field.

Each is made when it is first asked for and follows the table from then on; which ones a table has, it decides itself.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import Final

_FEW: Final = 256  # moving so many in 100,000 takes as long as merging them


class Order:
    """Ids by one field and then by themselves; `by` is empty: by themselves alone.

    What has changed is sorted in when it is next asked for: a few one by one, many by merging two runs.
    """

    def __init__(self, by: str, rows: Mapping[str, object]) -> None:
        self._read = attrgetter(by) if by else lambda _: ""
        self._keys = sorted(self.key(row_id, row) for row_id, row in rows.items())
        self._late: dict[tuple[str, str], bool] = {}  # what is to be there, or not, when it is next asked for

    def change(self, row_id: str, before: object | None, row: object | None) -> None:
        """The row is new, another one, or (None) gone."""
        if before is not None:
            self._late[self.key(row_id, before)] = False
        if row is not None:
            self._late[self.key(row_id, row)] = True

    def in_order(self) -> list[tuple[str, str]]:
        """(value, id) of all rows, in order."""
        late, self._late = self._late, {}
        if len(late) > _FEW:
            stay = [key for key in self._keys if key not in late]
            self._keys = sorted(stay + sorted(key for key, is_there in late.items() if is_there))
        else:
            for key, is_there in late.items():
                self._move(key, is_there=is_there)
        return self._keys

    def key(self, row_id: str, row: object) -> tuple[str, str]:
        """Where a row stands."""
        return self._read(row), row_id

    def _move(self, key: tuple[str, str], *, is_there: bool) -> None:
        at = bisect_left(self._keys, key)
        was_there = self._keys[at : at + 1] == [key]
        if is_there and not was_there:
            self._keys.insert(at, key)
        elif was_there and not is_there:
            del self._keys[at]


class Column:
    """The ids of the rows by their value in one field; of a list, by each of its parts."""

    def __init__(self, field: str, rows: Mapping[str, object]) -> None:
        self._read = attrgetter(field)
        self._ids: dict[object, set[str]] = {}
        for row_id, row in rows.items():
            self.add(row_id, row)

    def add(self, row_id: str, row: object) -> None:
        """A row that was not there."""
        for value in self._values(row):
            self._ids.setdefault(value, set()).add(row_id)

    def take_out(self, row_id: str, row: object) -> None:
        """A row that is no more."""
        for value in self._values(row):
            self._ids[value].discard(row_id)
            if not self._ids[value]:
                del self._ids[value]

    def having(self, values: Iterable[object]) -> set[str]:
        """The ids of the rows that have one of the values. Not to be changed."""
        found = [self._ids[value] for value in values if value in self._ids]
        return found[0] if len(found) == 1 else set().union(*found)

    def _values(self, row: object) -> Iterable[object]:
        value = self._read(row)
        return set(value) if isinstance(value, list) else (value,)

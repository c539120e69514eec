"""By what rows are searched: the order of a field, and the rows that have a value in a field.

Each is made when it is first asked for and follows the table from then on; which ones a table has, it decides itself.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter


class Order:
    """Ids by one field and then by themselves; `by` is empty: by themselves alone.

    What has changed is sorted in when it is next asked for: two runs that are in order are merged in the time that it
    takes to look at each key.
    """

    def __init__(self, by: str, rows: Mapping[str, object]) -> None:
        self._read = attrgetter(by) if by else lambda _: ""
        self._keys: list[tuple[str, str]] = []
        self._touched = set(rows)

    def touch(self, row_id: str) -> None:
        """The row is another one now, or gone."""
        self._touched.add(row_id)

    def keys(self, rows: Mapping[str, object]) -> list[tuple[str, str]]:
        """(value, id) of all rows, in order."""
        if self._touched:
            stay = [key for key in self._keys if key[1] not in self._touched]
            more = sorted(self.key(row_id, rows[row_id]) for row_id in self._touched if row_id in rows)
            self._keys = sorted(stay + more)
            self._touched = set()
        return self._keys

    def key(self, row_id: str, row: object) -> tuple[str, str]:
        """Where a row stands."""
        return self._read(row), row_id


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

"""The entities of one kind in one space: by id, external id, name, and what they hold on to."""

from collections.abc import Callable, Collection, Iterable, Iterator
from operator import attrgetter
from typing import Generic, TypeVar

from contracts.messages.entities import (
    Activation,
    Audience,
    Campaign,
    Connection,
    Destination,
    Feed,
    Principal,
)
from services.domain.catalogue.table import Noticed, Table

E = TypeVar("E", Audience, Feed, Destination, Connection, Activation, Campaign, Principal)
K = TypeVar("K", str, tuple[str, str])


def held(kind: str, id_: str) -> str:
    """What the holders of an entity are found by."""
    return f"{kind}/{id_}"


class EntityTable(Generic[E]):
    """References resolve in the order id, external id, name (contracts.md §1). A used id is never free again.

    `holds` gives what an entity holds on to (others, as `held`; a source), so that its holders are found at once.
    """

    def __init__(self, kind: str, holds: Callable[[E], Iterable[str]], noticed: Noticed | None = None) -> None:
        self.kind = kind
        self.holds: Callable[[E], Iterable[str]] = holds
        self._holders: dict[str, dict[str, None]] = {}
        self.rows: Table[E] = Table(kind, noticed)
        self.get: Callable[[str], E | None] = self.rows.get
        self._id_of: Callable[[E], str] = attrgetter(f"{kind}_id")
        self._names: dict[str, str] = {}
        self._externals: dict[str, dict[tuple[str, str], None]] = {}  # value → (external name, entity id)
        self._gone: set[str] = set()
        self.sees: Callable[[E], bool] | None = None  # what whoever asks now may refer to; None: everything

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[E]:
        return iter(self.rows)

    def find(self, reference: str) -> E | None:
        """An external id that two entities have (under different names) refers to neither.

        What is not seen is not found.
        """
        found = self.get(reference)
        if found is None and reference in self._externals:
            ids = {id_ for _, id_ in self._externals[reference]}
            found = self.get(ids.pop()) if len(ids) == 1 else None
        if found is None:
            found = self.get(self._names.get(reference, ""))
        return self._if_seen(found)

    def find_external(self, name: str, value: str) -> E | None:
        """The entity that has this value under this external name; what is not seen is not found."""
        return self._if_seen(self.get(self.external(name, value) or ""))

    def seen(self, ids: set[str] | None) -> set[str] | None:
        """Those of the ids (None: all) that are seen; None where that is all there are."""
        if self.sees is None:
            return ids
        rows = self.rows.unordered() if ids is None else map(self.get, ids)
        return {self._id_of(row) for row in rows if row is not None and self.sees(row)}

    def named(self, name: str) -> str | None:
        """The id of the entity of that name."""
        return self._names.get(name)

    def external(self, name: str, value: str) -> str | None:
        """The id of the entity that has this value under this external name."""
        return next((id_ for other, id_ in self._externals.get(value, ()) if other == name), None)

    def with_external(self, value: str) -> list[str]:
        """The ids of the entities that have this value under any external name."""
        return [id_ for _, id_ in self._externals.get(value, ())]

    def holders(self, what: str) -> list[str]:
        """The ids of the entities that hold on to `what`, in order."""
        return sorted(self._holders.get(what, ()))

    def is_used(self, id_: str) -> bool:
        """Whether something in this space has or had the id."""
        return self.get(id_) is not None or id_ in self._gone

    def are_free(self, texts: Collection[str]) -> bool:
        """Whether none of the texts means, or once was the id of, something in this space."""
        names, externals, gone, rows = self._names, self._externals, self._gone, self.rows
        for text in texts:
            if text in externals or text in names or text in gone or rows.get(text) is not None:
                return False
        return True

    def put(self, entity: E) -> None:
        """Adds the entity or its new form."""
        id_ = self._id_of(entity)
        assert id_ not in self._gone, "a used id is never free again"
        before = self.get(id_)
        self.rows.put(id_, entity)
        if before is None:
            self._index(id_, entity)
        elif self._found_by(before) != self._found_by(entity):
            self._forget(before)
            self._index(id_, entity)

    def remove(self, id_: str) -> None:
        """Takes the entity out and keeps its id from being used again."""
        assert id_ in self.rows
        self._forget(self.rows.get(id_))
        self.rows.drop(id_)
        self._gone.add(id_)

    def load(self, entity: E) -> None:
        """An entity as it was restored."""
        id_ = self._id_of(entity)
        self.rows.load(id_, entity)
        self._index(id_, entity)

    def load_gone(self, id_: str) -> None:
        """A used id as it was restored."""
        self._gone.add(id_)

    def undo(self) -> list[tuple[E | None, E | None]]:
        """Everything is as it was when the rows were last told to `try_out`: (what was tried, entity)."""
        undone = self.rows.undo()
        for _, tried, _ in undone:
            self._forget(tried)
        for id_, _, entity in undone:
            self._gone.discard(id_)  # or nothing could have been tried with it
            if entity is not None:
                self._index(id_, entity)
        return [(tried, entity) for _, tried, entity in undone]

    def _if_seen(self, found: E | None) -> E | None:
        return found if found is None or self.sees is None or self.sees(found) else None

    def _found_by(self, entity: E) -> tuple[object, ...]:
        return entity.name, entity.external_ids, *self.holds(entity)

    def _index(self, id_: str, entity: E) -> None:
        self._names[entity.name] = id_
        for name, value in entity.external_ids.items():
            self._externals.setdefault(value, {})[name, id_] = None
        for one in self.holds(entity):
            holders = self._holders.get(one)
            if holders is None:
                self._holders[one] = {id_: None}
            else:
                holders[id_] = None

    def _forget(self, entity: E | None) -> None:
        if entity is None:
            return
        id_ = self._id_of(entity)
        del self._names[entity.name]
        for name, value in entity.external_ids.items():
            _take_out(self._externals, value, (name, id_))
        for one in self.holds(entity):
            _take_out(self._holders, one, id_)


def _take_out(index: dict[str, dict[K, None]], key: str, entry: K) -> None:
    entries = index[key]
    entries.pop(entry, None)
    if not entries:
        del index[key]

"""Everything that stands in one space."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from contracts.messages.entities import (
    Activation,
    Audience,
    Campaign,
    CatalogueEntity,
    Connection,
    Destination,
    Feed,
    Principal,
    Space,
)
from services.domain.catalogue.entity_table import EntityTable, held
from services.domain.catalogue.expressions import leaves
from services.domain.catalogue.forms import Forms
from services.domain.catalogue.sources import source_key
from services.domain.catalogue.table import Noticed, Table


class Catalogue:
    """`space` None: the space does not exist (any more), its used ids are remembered all the same.

    `tables` are what stands in the space, by kind; `forms` is the JSON of what has changed.
    """

    def __init__(self) -> None:
        self.forms = Forms()
        noticed: Noticed = {}
        self._noticed = noticed
        self.spaces: Table[Space] = Table("space", noticed)
        self.audiences: EntityTable[Audience] = EntityTable("audience", _parts, noticed)
        self.feeds: EntityTable[Feed] = EntityTable("feed", _feed_holds, noticed)
        self.destinations: EntityTable[Destination] = EntityTable("destination", lambda _: (), noticed)
        self.connections: EntityTable[Connection] = EntityTable("connection", _ends, noticed)
        self.activations: EntityTable[Activation] = EntityTable("activation", _served, noticed)
        self.campaigns: EntityTable[Campaign] = EntityTable("campaign", lambda _: (), noticed)
        self.principals: EntityTable[Principal] = EntityTable("principal", lambda _: (), noticed)
        tables: tuple[EntityTable[Any], ...] = (
            self.audiences,
            self.feeds,
            self.destinations,
            self.connections,
            self.activations,
            self.campaigns,
            self.principals,
        )
        self.tables = {table.kind: table for table in tables}

    @property
    def space(self) -> Space | None:
        return self.spaces.oldest()

    def is_empty(self) -> bool:
        """Whether nothing stands in the space."""
        return not any(len(table) for table in self.tables.values())

    def load(self, entity: CatalogueEntity) -> None:
        """An entity as it was restored."""
        match entity:
            case Space():
                self.spaces.load(entity.space_id, entity)
            case Audience():
                self.audiences.load(entity)
            case Feed():
                self.feeds.load(entity)
            case Destination():
                self.destinations.load(entity)
            case Connection():
                self.connections.load(entity)
            case Activation():
                self.activations.load(entity)
            case Campaign():
                self.campaigns.load(entity)
            case Principal():
                self.principals.load(entity)

    def load_gone(self, kind: str, id_: str) -> None:
        """A used id as it was restored."""
        self.tables[kind].load_gone(id_)

    def drain(self) -> Iterator[tuple[str, str, CatalogueEntity | None]]:
        """(kind, id, present form) of what has changed, None for what is gone."""
        for id_, space in self.spaces.drain():
            yield "space", id_, space
        for kind, table in self.tables.items():
            for id_, entity in table.rows.drain():
                yield kind, id_, entity

    def take_notice(self) -> None:
        """From here on `noticed` says what changes."""
        self._noticed.clear()

    def noticed(self) -> Iterator[tuple[str, str, CatalogueEntity | None, CatalogueEntity | None]]:
        """(kind, id, form before, form now) of what was put or dropped since `take_notice`."""
        for (kind, id_), before in self._noticed.items():
            yield kind, id_, before, self.spaces.get(id_) if kind == "space" else self.tables[kind].get(id_)

    def users_of(self, kind: str, id_: str) -> list[tuple[str, str]]:
        """(kind, id) of what would break without the entity."""
        return [(user, one) for user, table in self.tables.items() for one in table.holders(held(kind, id_))]

    def uses(self, kind: str, id_: str) -> list[tuple[str, str]]:
        """(kind, id) of what the entity would break without."""
        table = self.tables[kind]
        pairs = (one.partition("/") for one in table.holds(table.get(id_)))
        return [(used, used_id) for used, _, used_id in pairs if used in self.tables]

    @contextmanager
    def seen_by(self, sees: Callable[[Audience], bool] | None) -> Iterator[None]:
        """Within, no audience is found but those that `sees` (None: all), and nothing that is about another."""

        def sees_its_audience(entity: Connection | Activation) -> bool:
            audience = self.audiences.get(entity.audience_id)
            return sees is None or (audience is not None and sees(audience))

        self.audiences.sees = sees
        self.connections.sees = self.activations.sees = None if sees is None else sees_its_audience
        try:
            yield
        finally:
            self.audiences.sees = self.connections.sees = self.activations.sees = None

    def try_out(self) -> None:
        """Until `undo`, what is changed can be undone."""
        self.spaces.try_out()
        for table in self.tables.values():
            table.rows.try_out()

    def undo(self) -> list[tuple[CatalogueEntity | None, CatalogueEntity | None]]:
        """Everything is as it was at `try_out`: (what was tried, entity) of what had changed in the space."""
        self.spaces.undo()
        return [undone for table in self.tables.values() for undone in table.undo()]


def _parts(audience: Audience) -> Iterable[str]:
    return [held("audience", part) for part in leaves(audience.expression)] if audience.expression is not None else ()


def _feed_holds(feed: Feed) -> Iterable[str]:
    yield source_key(feed.source)
    if not isinstance(feed.audience_from, str):
        yield held("audience", feed.audience_from.audience)


def _ends(connection: Connection) -> Iterable[str]:
    return held("audience", connection.audience_id), held("destination", connection.destination_id)


def _served(activation: Activation) -> Iterable[str]:
    """Not its audience, which its connection holds: `users_of` an audience are those that stand on it themselves."""
    yield held("connection", activation.connection_id)
    yield held("destination", activation.destination_id)
    if activation.campaign_id is not None:
        yield held("campaign", activation.campaign_id)

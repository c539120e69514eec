"""Everything that stands in one space."""

from collections.abc import Iterable, Iterator

from contracts.messages.entities import (
    Activation,
    Audience,
    CatalogueEntity,
    Connection,
    Destination,
    Feed,
    Space,
)
from services.domain.catalogue.entity_table import EntityTable
from services.domain.catalogue.expressions import leaves
from services.domain.catalogue.sources import source_key
from services.domain.catalogue.table import Table


class Catalogue:
    """`space` None: the space does not exist (any more), its used ids are remembered all the same."""

    def __init__(self) -> None:
        self.spaces: Table[Space] = Table()
        self.audiences: EntityTable[Audience] = EntityTable("audience", _parts)
        self.feeds: EntityTable[Feed] = EntityTable("feed", _feed_holds)
        self.destinations: EntityTable[Destination] = EntityTable("destination", lambda _: ())
        self.connections: EntityTable[Connection] = EntityTable("connection", _ends)
        self.activations: EntityTable[Activation] = EntityTable("activation", _served)

    @property
    def space(self) -> Space | None:
        return self.spaces.oldest()

    def is_empty(self) -> bool:
        """Whether nothing stands in the space."""
        tables = (self.audiences, self.feeds, self.destinations, self.connections, self.activations)
        return not any(len(table) for table in tables)

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

    def load_gone(self, kind: str, id_: str) -> None:
        """A used id as it was restored."""
        for table in (self.audiences, self.feeds, self.destinations, self.connections, self.activations):
            if table.kind == kind:
                table.load_gone(id_)

    def drain(self) -> Iterator[tuple[str, str, CatalogueEntity | None]]:
        """(kind, id, present form) of what has changed, None for what is gone."""
        for id_, space in self.spaces.drain():
            yield "space", id_, space
        for table in (self.audiences, self.feeds, self.destinations, self.connections, self.activations):
            for id_, entity in table.rows.drain():
                yield table.kind, id_, entity

    def users_of_audience(self, audience_id: str) -> list[str]:
        """What would break without the audience, as `kind id`."""
        tables = (self.audiences, self.feeds, self.connections)
        return [f"{table.kind} {id_}" for table in tables for id_ in table.holders(audience_id)]

    def copy(self) -> "Catalogue":
        """For trying something out."""
        twin = Catalogue()
        twin.spaces = self.spaces.copy()
        twin.audiences = self.audiences.copy()
        twin.feeds = self.feeds.copy()
        twin.destinations = self.destinations.copy()
        twin.connections = self.connections.copy()
        twin.activations = self.activations.copy()
        return twin


def _parts(audience: Audience) -> Iterable[str]:
    return leaves(audience.expression) if audience.expression is not None else ()


def _feed_holds(feed: Feed) -> Iterable[str]:
    yield source_key(feed.source)
    if not isinstance(feed.audience_from, str):
        yield feed.audience_from.audience


def _ends(connection: Connection) -> Iterable[str]:
    return connection.audience_id, connection.destination_id


def _served(activation: Activation) -> Iterable[str]:
    return activation.connection_id, activation.destination_id

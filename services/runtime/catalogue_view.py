"""The present catalogue in memory: all entities of all spaces, followed from the compacted topic.

Used by intake and the lanes; control, which writes the catalogue, has its own state. Decides nothing.
"""

import asyncio
from collections.abc import Iterator
from typing import TypeVar

from contracts.messages.entities import CatalogueEntity, Feed
from services.runtime.backoff import SYSTEM_RANDOM, Random
from services.runtime.clock import Clock
from services.runtime.health import Health
from services.runtime.log import Log

E = TypeVar("E", bound=CatalogueEntity)


class CatalogueView:
    """Made by `app.py`; `run` is one of the service's tasks, everything else may be called at any time."""

    def __init__(self, log: Log, *, clock: Clock, health: Health, random: Random = SYSTEM_RANDOM) -> None:
        raise NotImplementedError

    async def run(self, stopping: asyncio.Event) -> None:
        """Follows the topic until `stopping` is set; survives `Unavailable`. Opens a readiness gate when caught up."""
        raise NotImplementedError

    async def caught_up(self) -> None:
        """Returns when everything that was in the topic when this was called is in the view.

        Takes the high watermarks, not the last stable offsets: an entity in a transaction that is still open when the
        question comes counts too (architecture.md §3). May raise `Unavailable`.
        """
        raise NotImplementedError

    def get(self, kind: type[E], space_id: str, entity_id: str) -> E | None:
        """The entity with this id."""
        raise NotImplementedError

    def resolve(self, kind: type[E], space_id: str, reference: str) -> E | None:
        """The entity that a reference names: by id, else external id, else name (contracts.md §1)."""
        raise NotImplementedError

    def all(self, kind: type[E], space_id: str | None = None) -> Iterator[E]:
        """All entities of a kind, of one space or of all, in no order."""
        raise NotImplementedError

    def feeds_for(self, bucket: str, key: str, *, default_bucket: str | None) -> list[Feed]:
        """For each space the enabled S3 feed whose prefix is the longest that `key` begins with, by space id."""
        raise NotImplementedError

"""The JSON of entities, encoded once: for their size, the catalogue, the audit record and the reply."""

from functools import cache

from contracts import codec
from contracts.messages.entities import CatalogueEntity


class Forms:
    """What was asked for since the last `forget`, which is about to be written anyway."""

    def __init__(self) -> None:
        # By `id`, which is no other's as long as the entity is kept: entities have no hash of their own.
        self._kept: dict[int, tuple[CatalogueEntity, bytes]] = {}

    def of(self, entity: CatalogueEntity) -> bytes:
        """The JSON of the entity, as the catalogue has it."""
        kept = self._kept.get(id(entity))
        if kept is None:
            kept = self._kept[id(entity)] = entity, codec.encode(entity)
        return kept[1]

    def fields_of(self, entity: CatalogueEntity) -> bytes:
        """The JSON of its fields, as a reply has them between braces: without what says its kind."""
        return self.of(entity)[_tag_bytes(type(entity)) : -1]

    def forget(self) -> None:
        """Everything is written."""
        self._kept.clear()


@cache
def _tag_bytes(kind: type[CatalogueEntity]) -> int:
    """The length of what stands before the fields of an entity of that kind: msgspec writes the tag first."""
    config = kind.__struct_config__
    return len(codec.encode({str(config.tag_field): config.tag}))

"""The catalogue as look-ups: by id, external id and name, and feeds by bucket and prefix. Pure; kept by the view.

References are control's to judge when a command names them; here they serve readers of what control has published.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TypeVar

from contracts.messages.entities import CatalogueEntity, Entity, Feed, entity_id

E = TypeVar("E", bound=CatalogueEntity)

_Kind = tuple[type[Entity], str]  # class, space id


class CatalogueIndex:
    """All present entities. `put` and `remove` take the catalogue's record keys (`space/kind/id`)."""

    def __init__(self) -> None:
        self._by_key: dict[str, CatalogueEntity] = {}
        self._by_id: defaultdict[_Kind, dict[str, CatalogueEntity]] = defaultdict(dict)
        self._by_name: defaultdict[_Kind, dict[str, CatalogueEntity]] = defaultdict(dict)
        self._by_external_id: defaultdict[_Kind, dict[str, dict[str, CatalogueEntity]]] = defaultdict(dict)
        self._feeds: defaultdict[tuple[str | None, str], dict[str, Feed]] = defaultdict(dict)
        self._prefix_lengths: Counter[int] = Counter()
        self._topic_feeds: dict[str, Feed] = {}  # by key

    def __len__(self) -> int:
        return len(self._by_key)

    def put(self, key: str, entity: CatalogueEntity) -> None:
        """The entity as it now stands."""
        self.remove(key)
        self._by_key[key] = entity
        kind, own_id = (type(entity), entity.space_id), entity_id(entity)
        self._by_id[kind][own_id] = entity
        self._by_name[kind][entity.name] = entity
        for value in entity.external_ids.values():
            self._by_external_id[kind].setdefault(value, {})[own_id] = entity
        if isinstance(entity, Feed) and entity.source.prefix is not None:
            self._feeds[entity.source.bucket, entity.source.prefix][key] = entity
            self._prefix_lengths[len(entity.source.prefix)] += 1
        if isinstance(entity, Feed) and entity.source.kind == "topic":
            self._topic_feeds[key] = entity

    def remove(self, key: str) -> None:
        """The entity is gone; nothing happens where it never was."""
        entity = self._by_key.pop(key, None)
        if entity is None:
            return
        kind, own_id = (type(entity), entity.space_id), entity_id(entity)
        del self._by_id[kind][own_id]
        if self._by_name[kind].get(entity.name) is entity:  # else a newer one has taken the name
            del self._by_name[kind][entity.name]
        for value in set(entity.external_ids.values()):
            del self._by_external_id[kind][value][own_id]
        if isinstance(entity, Feed) and entity.source.prefix is not None:
            del self._feeds[entity.source.bucket, entity.source.prefix][key]
            self._prefix_lengths[len(entity.source.prefix)] -= 1
        self._topic_feeds.pop(key, None)

    def get(self, kind: type[E], space_id: str, entity_id: str) -> E | None:
        """The entity with this id."""
        found = self._by_id.get((kind, space_id), {}).get(entity_id)
        assert found is None or isinstance(found, kind)
        return found

    def resolve(self, kind: type[E], space_id: str, reference: str) -> E | None:
        """By id, else external id, else name. One external id under two names may mean two entities: the lower id."""
        where = kind, space_id
        external = self._by_external_id.get(where, {}).get(reference) or {}
        found = (
            self._by_id.get(where, {}).get(reference)
            or (external[min(external)] if external else None)
            or self._by_name.get(where, {}).get(reference)
        )
        assert found is None or isinstance(found, kind)
        return found

    def all(self, kind: type[E], space_id: str | None = None) -> Iterator[E]:
        """All entities of a kind, of one space or of all, in no order."""
        for entity in self._by_key.values() if space_id is None else self._by_id.get((kind, space_id), {}).values():
            if isinstance(entity, kind):
                yield entity

    def topic_feeds(self) -> list[Feed]:
        """The enabled feeds of all spaces whose source is a topic, by space and id."""
        return [feed for _, feed in sorted(self._topic_feeds.items()) if feed.enabled]

    def feeds_for(self, bucket: str, key: str, *, default_bucket: str | None) -> list[Feed]:
        """For each space the enabled feed with the longest prefix that `key` begins with, ordered by space id."""
        buckets = (bucket, None) if bucket == default_bucket else (bucket,)
        best: dict[str, Feed] = {}
        for length in sorted(length for length, feeds in self._prefix_lengths.items() if feeds and length <= len(key)):
            for place in buckets:
                for feed in self._feeds.get((place, key[:length]), {}).values():
                    if feed.enabled and feed.source.kind == "s3":
                        best[feed.space_id] = feed
        return [best[space_id] for space_id in sorted(best)]

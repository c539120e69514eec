"""What a reader of the public topics knows about one space: folded."""

from collections import defaultdict
from collections.abc import Collection
from typing import Final

from contracts import catalog, codec
from contracts.instants import parse_instant
from contracts.messages.published import ActivationStatus, Change, Import, Size
from contracts.records import Record

TOPICS: Final = (catalog.CATALOGUE, catalog.IMPORTS, catalog.SIZES, catalog.CHANGES, catalog.ACTIVATIONS)
TERMINAL: Final = frozenset({"applied", "duplicate", "superseded", "held", "aborted", "failed"})


class Observed:
    """A fold of the public topics for `space`; `keep_members` costs a set of members for each audience."""

    def __init__(self, space: str, *, keep_members: bool) -> None:
        self.space = space
        self.time_ms: int | None = None
        self.exists = False
        self.imports: dict[str, Import] = {}
        self.activations: dict[str, ActivationStatus] = {}
        self.entered: defaultdict[str, int] = defaultdict(int)
        self.exited: defaultdict[str, int] = defaultdict(int)
        self.members: defaultdict[str, set[str]] = defaultdict(set)
        self._keep_members = keep_members
        self._sizes: dict[tuple[str, int], int] = {}
        self._names: dict[tuple[str, str], str] = {}
        self._prefix = f"{space}/".encode()
        self._space = space.encode()

    def sink(self, record: Record) -> None:
        """Takes one record of any of `TOPICS`."""
        match record.topic:
            case catalog.CHANGES:
                self._change(record)
            case catalog.CATALOGUE if (record.key or b"").startswith(self._prefix):
                self._entity(record)
            case catalog.SIZES if (record.key or b"").startswith(self._prefix):
                self._size(record)
            case catalog.IMPORTS if (record.key or b"").startswith(self._prefix) and record.value is not None:
                found = codec.decode(record.value, Import)
                self.imports[found.import_id] = found
            case catalog.ACTIVATIONS if (record.key or b"").startswith(self._prefix) and record.value is not None:
                status = codec.decode(record.value, ActivationStatus)
                self.activations[status.activation_id] = status
            case _:
                pass

    def size(self, audience: str) -> int:
        """Present size of the audience of that name (or id); 0 where nothing was ever said of it."""
        wanted = self.id_of("audience", audience)
        return sum(size for (found, _), size in self._sizes.items() if found == wanted)

    def id_of(self, kind: str, name: str) -> str:
        """The id of the entity of that name; the name itself where it is none."""
        return self._names.get((kind, name), name)

    def names(self, kind: str) -> list[str]:
        return sorted(name for found, name in self._names if found == kind)

    def import_of(self, key: str, *, known: Collection[str] = ()) -> Import | None:
        """The first import of the object at `key` that is not among the `known` ids.

        A later one is the same notification, come again.
        """
        found = (one for one in self.imports.values() if one.object is not None and one.object.key == key)
        return next((one for one in found if one.import_id not in known), None)

    def _entity(self, record: Record) -> None:
        _, kind, entity_id = (record.key or b"").decode().split("/", 2)
        if record.value is None:
            self._names = {at: found for at, found in self._names.items() if at[0] != kind or found != entity_id}
            return
        form = codec.decode(record.value, dict[str, object])
        if kind == "space":
            self.exists = True
            self.time_ms = parse_instant(str(form["time"])) if form.get("time") else None
        else:
            self._names[kind, str(form["name"])] = entity_id

    def _size(self, record: Record) -> None:
        _, audience, partition = (record.key or b"").decode().split("/")
        size = codec.decode(record.value, Size).size if record.value is not None else 0
        self._sizes[audience, int(partition)] = size

    def _change(self, record: Record) -> None:
        if record.value is None or codec.header(record.headers, "ce_spaceid") != self.space:
            return
        if codec.header(record.headers, "ce_type") not in {"audience.entered", "audience.exited"}:
            return
        change = codec.decode(record.value, Change)
        entered = change.change == "entered"
        (self.entered if entered else self.exited)[change.audience_id] += len(change.members)
        if self._keep_members:
            kept = self.members[change.audience_id]
            (kept.update if entered else kept.difference_update)(change.members)

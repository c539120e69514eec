"""The identity tables of one space on one partition, by id type."""

from collections.abc import Sequence
from typing import Final, Self

import numpy as np
from pyroaring import BitMap

from services.domain.membership.broken_log import BrokenLog
from services.domain.membership.checkpoint.packing import Packing, Unpacking
from services.domain.membership.checkpoint.shape import DirectorySaved
from services.domain.membership.identities.bitmaps import bitmap_of
from services.domain.membership.identities.forms import Known
from services.domain.membership.identities.table import IdentityTable, Ordinals
from services.domain.rows import Identities, group_texts

_LOOKED_AT: Final = 64


class Directory:
    """Identifiers to ordinals and back. An ordinal means something only together with its id type."""

    def __init__(self, partition: int, partitions: int) -> None:
        self._partition = partition
        self._partitions = partitions
        self._tables: dict[str, IdentityTable] = {}

    def saved(self, packing: Packing) -> DirectorySaved:
        return DirectorySaved({id_type: table.saved(packing) for id_type, table in sorted(self._tables.items())})

    @classmethod
    def restored(cls, saved: DirectorySaved, unpacking: Unpacking, partition: int, partitions: int) -> Self:
        directory = cls(partition, partitions)
        for id_type, table in saved.tables.items():
            directory._tables[id_type] = IdentityTable.restored(table, unpacking)
        return directory

    def intern(self, id_type: str, identities: Identities) -> Ordinals:
        """The ordinal of each identity, in order; unknown ones become known.

        Raises `BrokenLog` where their home is another partition. Some of each batch are looked at: enough to find out
        that the number of partitions was changed, which would split every member's history.
        """
        homes = identities.part(0, min(len(identities), _LOOKED_AT)).partitions(self._partitions)
        if (homes != self._partition).any():
            raise BrokenLog(
                f"identities of other partitions of {self._partitions}: the number of partitions was changed, or "
                "a writer counts another number"
            )
        return self._tables.setdefault(id_type, IdentityTable()).intern(identities)

    def find(self, id_type: str, text: str) -> int | None:
        """The ordinal of a canonical identifier; None where it is unknown, and stays so."""
        table = self._tables.get(id_type)
        ((identity, _),) = group_texts([text])
        return None if table is None else table.find(identity)

    def is_full(self, id_type: str, identities_max: int | None) -> bool:
        """Whether so many are known that no more may be; None is no limit."""
        return identities_max is not None and self.count(id_type) >= identities_max

    def known(self, id_type: str, identities: Identities) -> Known:
        """Whether each is known; those that are not stay so."""
        return self._tables.setdefault(id_type, IdentityTable()).known(identities)

    def known_bitmap(self, id_type: str, texts: Sequence[str]) -> BitMap:
        """The set of those canonical identifiers that are known."""
        found = BitMap()
        for identities, _ in group_texts(texts):
            known = identities.take(np.flatnonzero(self.known(id_type, identities)))
            found |= bitmap_of(self.intern(id_type, known))
        return found

    def count(self, id_type: str) -> int:
        """How many identities are known."""
        return len(self._tables.get(id_type, ()))

    def counts(self) -> dict[str, int]:
        """How many identities are known, by id type."""
        return {id_type: len(table) for id_type, table in sorted(self._tables.items())}

    def size_bytes(self) -> int:
        """What all identities take in memory."""
        return sum(table.size_bytes() for table in self._tables.values())

    def bitmap(self, id_type: str, texts: Sequence[str]) -> BitMap:
        """The set of these canonical identifiers; unknown ones become known."""
        groups = group_texts(texts)
        return BitMap.union(BitMap(), *(bitmap_of(self.intern(id_type, identities)) for identities, _ in groups))

    def spelled(self, id_type: str, ordinals: Ordinals) -> bytes:
        """The canonical identifiers of sorted ordinals as JSON texts with commas between them, in order."""
        return self._tables[id_type].spelled(ordinals)

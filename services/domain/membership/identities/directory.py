"""The identity tables of one space, by id type."""

from collections.abc import Sequence

from pyroaring import BitMap

from services.domain.membership.identities.bitmaps import bitmap_of
from services.domain.membership.identities.table import IdentityTable, Ordinals
from services.domain.rows import Identities, group_texts


class Directory:
    """Identifiers to ordinals and back. An ordinal means something only together with its id type."""

    def __init__(self) -> None:
        self._tables: dict[str, IdentityTable] = {}

    def intern(self, id_type: str, identities: Identities) -> Ordinals:
        """The ordinal of each identity, in order; unknown ones become known."""
        return self._tables.setdefault(id_type, IdentityTable()).intern(identities)

    def bitmap(self, id_type: str, texts: Sequence[str]) -> BitMap:
        """The set of these canonical identifiers; unknown ones become known."""
        groups = group_texts(texts)
        return BitMap.union(BitMap(), *(bitmap_of(self.intern(id_type, identities)) for identities, _ in groups))

    def texts(self, id_type: str, ordinals: Ordinals) -> list[str]:
        """The canonical identifiers of sorted ordinals, in order."""
        return self._tables[id_type].texts(ordinals)

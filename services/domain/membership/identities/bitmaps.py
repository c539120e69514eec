"""Arrays of ordinals to roaring bitmaps and back. Bitmaps are made from sorted arrays: unsorted costs ten times."""

import array

import numpy as np
from pyroaring import BitMap

from services.domain.membership.identities.table import Ordinals


def bitmap_of_sorted(ordinals: Ordinals) -> BitMap:
    """The set of a rising array (equal neighbours are fine)."""
    return BitMap(array.array("I", ordinals.tobytes()))


def bitmap_of(ordinals: Ordinals) -> BitMap:
    """The set of any array."""
    return bitmap_of_sorted(np.sort(ordinals))


def ordinals_of(bitmap: BitMap) -> Ordinals:
    """The members, rising."""
    return np.frombuffer(bitmap.to_array(), dtype=np.uint32)

"""Blocks whose lines differ in their identifiers only, which are all of one width: no line needs to be looked for.

That is what most objects are made of: one audience, UUIDs or hashes. Whatever is not plainly so is left to
`split_lines`, which says the same of it. Called by the parsers.
"""

from typing import Final

import numpy as np
import numpy.typing as npt

from services.domain.intake.columns import Columns, Shape, Texts, lines_of
from services.domain.rows import Canonical, Spans, canonical_column

_WORDS: Final = (8, 4, 2, 1)


def alike_lines(block: bytes, shape: Shape, first_number: int) -> tuple[Columns, int] | None:
    """The rows of such a block, all good, and how many they are; None where it is no such block.

    The first line says where the identifier stands. A line that is the same before and after it, and has only hex
    digits and hyphens in its place, has its fields where the first has them.
    """
    width = block.find(b"\n") + 1
    if not width or len(block) % width:
        return None
    count = len(block) // width
    first = lines_of(block[:width], shape, first_number)
    if len(first.numbers) != 1 or b'"' in block[:width]:  # a quote may begin a field of csv
        return None
    data = np.frombuffer(block, dtype=np.uint8)
    start, length = int(first.identifiers.starts[0]), int(first.identifiers.lengths[0])
    if not (_same(data, width, start + length, width) and _same(data, width, 0, start)):
        return None
    rows = np.arange(count)
    found = canonical_column(shape.id_type, Spans(data, rows * width + start, np.full(count, length)))
    if found is None:
        return None
    audiences = None
    if first.audiences is not None:
        at = int(first.audiences.starts[0])
        text = block[at : at + int(first.audiences.lengths[0])]
        audiences = Texts([text], np.zeros(count, dtype=np.int64))
    return Columns(Canonical([(found, rows)], []), audiences, rows + first_number), count


def _same(data: npt.NDArray[np.uint8], width: int, first: int, last: int) -> bool:
    """Whether all lines have the same bytes from `first` to `last`."""
    at = first
    while at < last:
        size = next(size for size in _WORDS if size <= last - at)
        words = np.ndarray((len(data) // width,), dtype=f"<u{size}", buffer=data, offset=at, strides=(width,))
        if not (words == words[0]).all():
            return False
        at += size
    return True

"""Compiles the loops of `loops`: numba, ahead of the first call, without the interpreter's lock while they run.

What was compiled is kept beside the source, or where NUMBA_CACHE_DIR or the user's cache is; where none of these can
be written it is compiled at every start, which takes seconds.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])

BYTE: Final = numba.types.uint8
WORD: Final = numba.types.uint64
HALF_WORD: Final = numba.types.uint32
INDEX: Final = numba.types.int64


def read(kind: Any, dimensions: int = 1) -> Any:
    """An array that the loop only reads."""
    return numba.types.Array(kind, dimensions, "C", readonly=True)


def written(kind: Any, dimensions: int = 1) -> Any:
    """An array that the loop writes to."""
    return numba.types.Array(kind, dimensions, "C")


def compiled(*signatures: Any) -> Callable[[F], F]:
    """Of a function over arrays of these signatures, and no other. Indices are not checked."""

    def decorate(function: F) -> F:
        try:
            made = numba.njit(list(signatures), nogil=True, cache=True)(function)
        except RuntimeError:  # no folder to keep it in
            made = numba.njit(list(signatures), nogil=True)(function)
        return cast("F", made)

    return decorate

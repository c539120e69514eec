"""Compiles the loops of `loops`: numba, ahead of the first call, without the interpreter's lock while they run.

What was compiled is kept beside the source, or where NUMBA_CACHE_DIR or the user's cache is; where none of these can
be written it is compiled at every start, which takes seconds.
"""

from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

import numba
from numba.core import cgutils
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])

BYTE: Final = numba.types.uint8
WORD: Final = numba.types.uint64
HALF_WORD: Final = numba.types.uint32
INDEX: Final = numba.types.int64


def _prefetch(_typing: Any, array: Any, _index: Any) -> Any:
    """Tells the processor that `array[index]`, of one dimension, is about to be needed; for use in loops only.

    A slot is a step into memory at random: asked for in time, many come while one is looked at.
    """

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made: Any = cgutils
        kind, (value, at) = signature.args[0], arguments
        laid_out = context.make_array(kind)(context, builder, value)
        place = made.get_item_pointer(context, builder, kind, laid_out, [at], wraparound=False)
        pointer, number = made.voidptr_t, made.int32_t
        called = made.ir.FunctionType(made.ir.VoidType(), [pointer, number, number, number])
        function = made.get_or_insert_function(builder.module, called, "llvm.prefetch.p0")
        for_reading, keep, data = number(0), number(3), number(1)
        builder.call(function, [builder.bitcast(place, pointer), for_reading, keep, data])
        return context.get_dummy_value()

    return numba.types.void(array, INDEX), generate


prefetch: Final[Any] = intrinsic(_prefetch)


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

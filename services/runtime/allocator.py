"""What the C library does with freed memory, set once at the start of a service (decisions/0028).

By itself glibc gives the memory of every buffer of a megabyte back to the system, which clears it again for the next
one: a tenth of the time of a reading's main thread. And it learns from large arrays that were freed to keep them all.
"""

import ctypes
import platform
from typing import Final

# Parameters of mallopt(3), from malloc.h. Setting any of them ends the learning.
_TRIM_THRESHOLD: Final = -1
_TOP_PAD: Final = -2
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8

KEPT_BYTES: Final = 16 << 20
MAPPED_FROM_BYTES: Final = 4 << 20
_AT_ONCE_BYTES: Final = 1 << 20
_HEAPS: Final = 1  # of all threads: what one has freed another takes, and mostly one at a time has the interpreter


def keep_freed_buffers() -> bool:
    """The heap keeps up to `KEPT_BYTES`; what has `MAPPED_FROM_BYTES` or more is given back when it is freed.

    False where the C library is another: its ways are left alone.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    library = ctypes.CDLL(None)
    chosen = {
        _MMAP_THRESHOLD: MAPPED_FROM_BYTES,
        _TRIM_THRESHOLD: KEPT_BYTES,
        _TOP_PAD: _AT_ONCE_BYTES,
        _ARENA_MAX: _HEAPS,
    }
    return all(library.mallopt(parameter, value) == 1 for parameter, value in chosen.items())

"""What a destination answers, read as the form that we know: whatever its bytes are, reading them stops nobody."""

from collections.abc import Callable
from typing import TypeVar

import msgspec

T = TypeVar("T")


def understood(decode: Callable[[bytes], T], body: bytes) -> T | None:
    """The body, as the decoder of a form reads it; None where it has another."""
    try:
        return decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None

"""The identities of a chaos user, in blocks that are always named whole: the naive model takes a block for one identity.

Large blocks make files that services can be killed in the midst of; those of one identity are what single events name.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

LARGE: Final = 8
BLOCKS: Final = range(14)
SINGLES: Final = BLOCKS[LARGE:]
_STRIDE: Final = 600

Content = Counter[tuple[int, str]]
"""How often a file names each (block, audience)."""


def size(block: int) -> int:
    return _STRIDE if block < LARGE else 1


def identities(block: int) -> list[str]:
    return [f"u{number:06d}" for number in range(block * _STRIDE, block * _STRIDE + size(block))]


def block_of(identity: str) -> int:
    return int(identity.removeprefix("u")) // _STRIDE


def whole(named: Iterable[str]) -> set[int]:
    """The blocks that these identities are; raises `AssertionError` unless each is there whole, and once."""
    blocks = Counter(map(block_of, named))
    assert blocks == Counter({block: size(block) for block in blocks}), blocks
    return set(blocks)


def lines(content: Content) -> bytes:
    """A file of the caret form."""
    return "".join(
        f"{one}^{name}\n" for (block, name), times in content.items() for _ in range(times) for one in identities(block)
    ).encode()


def rows(content: Content) -> Counter[tuple[str, str]]:
    """What a reader must find in the file: how often each identity is named with each audience."""
    return Counter({(one, name): times for (block, name), times in content.items() for one in identities(block)})

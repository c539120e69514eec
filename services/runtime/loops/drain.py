"""Drains the output of a fold in chunks of bounded size, in the thread that folds, so that no output is held whole."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from contracts.catalog import TopicSpec
from contracts.records import Out, Record

if TYPE_CHECKING:
    from services.runtime.fold import Fold

CHUNK_BYTES: Final = 4 << 20  # some ten produce requests: long enough to amortise a round trip, short enough to hold
CHUNK_OUTS: Final = 5_000  # bounds the bookkeeping of many tiny records


@dataclass(slots=True)
class Chunk:
    """A part of one fold's output. With `last` the state has seen all its records, and `due_ms` is the fold's."""

    topics: list[TopicSpec] = field(default_factory=list)
    outs: list[Out] = field(default_factory=list)
    bytes: int = 0
    last: bool = False
    due_ms: int | None = None


class Drain:
    """One call of `Fold.handle`, begun by the first `next_chunk`."""

    def __init__(self, fold: "Fold", records: Sequence[Record], now_ms: int) -> None:
        self._fold = fold
        self._records = records
        self._now_ms = now_ms
        self._effects: Iterator[Out | TopicSpec] | None = None

    def next_chunk(self) -> Chunk:
        """Folds on until a chunk is full or everything is folded. Called in a thread, never after a `last` one."""
        if self._effects is None:
            self._effects = iter(self._fold.handle(self._records, self._now_ms))
        chunk, before, size = Chunk(), None, 0
        for effect in self._effects:
            if isinstance(effect, TopicSpec):
                chunk.topics.append(effect)
                continue
            if before is None or not effect.copies(before):
                size = _bytes(effect)
            before = effect
            chunk.outs.append(effect)
            chunk.bytes += size
            if chunk.bytes >= CHUNK_BYTES or len(chunk.outs) >= CHUNK_OUTS:
                return chunk
        chunk.last = True
        chunk.due_ms = self._fold.due_ms()
        return chunk


def _bytes(out: Out) -> int:
    size = len(out.key or b"") + len(out.value or b"")
    for name, text in out.headers:
        size += len(name) + len(text)
    return size

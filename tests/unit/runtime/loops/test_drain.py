"""The output of a fold is never held whole, never reordered, never lost between chunks."""

from collections.abc import Iterator, Sequence

from hypothesis import given
from hypothesis import strategies as st

from contracts.catalog import TopicSpec
from contracts.records import Out, Record
from services.runtime.loops.drain import CHUNK_BYTES, CHUNK_OUTS, Chunk, Drain

SPEC = TopicSpec(name="t", partitions=1, cleanup="delete", retention_ms=-1, max_message_bytes=1)


class Yielding:
    """Yields what it was given; knows how far it was drained."""

    def __init__(self, effects: Sequence[Out | TopicSpec]) -> None:
        self._effects = effects
        self.made = 0

    def handle(self, records: Sequence[Record], now_ms: int) -> Iterator[Out | TopicSpec]:
        for effect in self._effects:
            self.made += 1
            yield effect

    def due_ms(self) -> int | None:
        return 7 if self.made == len(self._effects) else None


def drained(fold: Yielding) -> list[Chunk]:
    drain = Drain(fold, (), 0)
    chunks = [drain.next_chunk()]
    while not chunks[-1].last:
        chunks.append(drain.next_chunk())
    return chunks


def out(size: int) -> Out:
    return Out("t", b"k", bytes(size), (("h", b"v"),), 0)


@given(st.lists(st.one_of(st.integers(0, CHUNK_BYTES), st.none()), max_size=12))
def test_chunks_are_bounded_and_add_up(sizes: list[int | None]) -> None:
    shared = {size: out(size) for size in sizes if size is not None}
    effects = [SPEC if size is None else shared[size] for size in sizes]
    chunks = drained(Yielding(effects))
    assert [effect for chunk in chunks for effect in chunk.outs] == [one for one in effects if one is not SPEC]
    assert sum(len(chunk.topics) for chunk in chunks) == sizes.count(None)
    for chunk in chunks:
        assert sum(len(one.value or b"") for one in chunk.outs[:-1]) < CHUNK_BYTES, "full only by its last record"
    assert [chunk.due_ms for chunk in chunks] == [None] * (len(chunks) - 1) + [7]


def test_many_tiny_records_are_chunked_by_count_and_made_only_when_asked_for() -> None:
    fold = Yielding([out(1)] * (2 * CHUNK_OUTS + 1))
    drain = Drain(fold, (), 0)
    assert fold.made == 0
    assert len(drain.next_chunk().outs) == CHUNK_OUTS
    assert fold.made == CHUNK_OUTS, "the rest does not exist yet"
    assert len(drain.next_chunk().outs) == CHUNK_OUTS
    last = drain.next_chunk()
    assert (len(last.outs), last.last) == (1, True)

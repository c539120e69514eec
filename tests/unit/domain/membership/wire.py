"""The records of a membership input, as control and intake write them, for one space of tests."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from contracts.codec import Headers, event_headers
from contracts.instants import instant_text
from contracts.messages.steps import RowsHeader, Step, StreamRowsHeader
from services.domain.rows import (
    EventBatch,
    RowBatch,
    encode_events,
    group_texts,
    scatter_events,
    write_rows_header,
    write_stream_header,
)

SPACE = "acme"
ID_TYPE = "kuid"

Rows = Sequence[tuple[str, str]]
"""(identity, audience) pairs."""
Event = tuple[int, str, str, str]
"""Offset, identity, audience, and `add` or `remove`."""


def step_headers(step: Step) -> Headers:
    return headers_of("step", f"{SPACE}.{step.step}")


def headers_of(kind: str, id: str) -> Headers:
    return event_headers(id=id, source="/test", type=kind, space_id=SPACE, time=instant_text(0))


def rows_headers(import_id: str, reading_id: str, sequence: int) -> Headers:
    return write_rows_header(
        RowsHeader(space_id=SPACE, import_id=import_id, reading_id=reading_id, sequence=sequence, id_type=ID_TYPE)
    )


def row_batches(rows: Rows, batch_rows: int) -> Iterator[RowBatch]:
    """Batches of one form each, as intake makes them."""
    for start in range(0, len(rows), batch_rows):
        part = rows[start : start + batch_rows]
        audiences = sorted({audience for _, audience in part})
        for identities, positions in group_texts([identity for identity, _ in part]):
            index = np.array([audiences.index(part[at][1]) for at in positions.tolist()], dtype=np.uint32)
            yield RowBatch(identities, index, audiences)


def event_records(
    events: Sequence[Event], partitions: int, **about: Any
) -> Iterator[tuple[int, Headers, bytes, set[int]]]:
    """Home, headers, value and offsets of each record that intake makes of a run of one source partition."""
    audiences = sorted({audience for _, _, audience, _ in events})
    for identities, positions in group_texts([identity for _, identity, _, _ in events]):
        chosen = [events[at] for at in positions.tolist()]
        index = np.array([audiences.index(audience) for _, _, audience, _ in chosen], dtype=np.uint32)
        adds = np.array([op == "add" for *_, op in chosen])
        offsets = np.array([offset for offset, *_ in chosen], dtype=np.int64)
        whole = EventBatch(RowBatch(identities, index, audiences), adds, offsets)
        for home, batch in scatter_events(whole, partitions):
            first, last = int(batch.offsets[0]), int(batch.offsets[-1])
            header = StreamRowsHeader(first_offset=first, last_offset=last, id_type=ID_TYPE, **about)
            yield home, write_stream_header(header), encode_events(batch), {*batch.offsets.tolist()}

"""The stages of the budget, each as one call of fixed size: what `check` holds to their recorded cost.

A stage is made once (its input is built then) and called many times; nothing here needs a broker.
"""

import uuid
from collections.abc import Callable
from random import Random
from typing import Final

import numpy as np
import pyarrow as pa

from contracts.catalog import CHANGES, INPUT
from contracts.records import Out, Record
from services.adapters.kafka.conversion import packed
from services.domain.intake.stream import read_events
from services.domain.membership.partition import MembershipPartition
from services.domain.rows import (
    Form,
    Identities,
    RowBatch,
    canonicalise,
    decode_rows,
    encode_events,
    encode_rows,
    scatter_events,
)
from services.domain.rows.batch import scatter
from services.membership.fold import LETTER
from tests.benchmarks.fold_input import AUDIENCE, Input, random_values

Call = Callable[[], object]
_ROWS: Final = 100_000
_EVENTS: Final = 10_000


def reference() -> Call:
    """The loop that never changes: interpreted arithmetic and an array sorted, for both are what stages are made of."""
    values = np.random.default_rng(1).integers(0, 1 << 62, 200_000)

    def call() -> object:
        total = 0
        for number in range(150_000):
            total = (total * 31 + number) & 0xFFFF
        return np.sort(values)[total]

    return call


def _canonical() -> Call:
    texts = pa.array(_uuids().texts(), pa.large_utf8())
    return lambda: canonicalise("user_id", texts)


def _scattered() -> Call:
    batch = _batch()
    return lambda: [encode_rows(part) for part in scatter(batch, 4) if part is not None]


def _unpacked() -> Call:
    wire = encode_rows(_batch())
    return lambda: decode_rows(wire)


def _events() -> Call:
    random = Random(1)
    values = [
        b'{"id": "%s", "audience": "%d", "op": "add"}'
        % (str(uuid.UUID(int=random.getrandbits(128))).encode(), number % 9)
        for number in range(_EVENTS)
    ]
    offsets = list(range(_EVENTS))

    def call() -> object:
        found = read_events(values, offsets, id_type="user_id", resolve=lambda text: text)
        return [encode_events(part) for batch in found.batches for _, part in scatter_events(batch, 4)]

    return call


def _new() -> Call:
    """A partition of its own at each call: identities never seen, and all their changes spelled."""
    values = _uuids()
    return lambda: _refreshed(
        MembershipPartition(0, partitions=1, results_partitions=1, dead_letter=LETTER), Input(), values
    )


def _same() -> Call:
    """The same full refresh again, onto the partition that has it."""
    partition, steps, values = (
        MembershipPartition(0, partitions=1, results_partitions=1, dead_letter=LETTER),
        Input(),
        _uuids(),
    )
    _refreshed(partition, steps, values)
    return lambda: _refreshed(partition, steps, values, defined=True)


def _sent() -> Call:
    value = bytes(39_000)
    outs = [Out(CHANGES, None, value, (("ce_id", b"1"),), number % 4) for number in range(1000)]
    return lambda: packed(outs, {CHANGES: 1 << 20}, lambda out: out.partition or 0)


def _refreshed(partition: MembershipPartition, steps: Input, values: Identities, *, defined: bool = False) -> object:
    written = [] if defined else [steps.definition()]
    import_id, opening = steps.opening("replace")
    written += [opening, *steps.rows(import_id, {AUDIENCE: values}), steps.apply(import_id)]
    records = [Record(INPUT, 0, at, 0, None, value, headers) for at, (headers, value) in enumerate(written)]
    return sum(1 for _ in partition.handle(records, 0))


def _uuids() -> Identities:
    return Identities.of_bytes(Form.UUID, random_values(_ROWS, 1))


def _batch() -> RowBatch:
    return RowBatch(_uuids(), np.zeros(_ROWS, dtype=np.uint32), [AUDIENCE])


STAGES: Final[dict[str, Callable[[], Call]]] = {
    "canonicalise and validate": _canonical,
    "partition, scatter and write rows": _scattered,
    "read rows": _unpacked,
    "events of a topic feed": _events,
    "fold identities never seen": _new,
    "fold the same again": _same,
    "pack records to send": _sent,
}

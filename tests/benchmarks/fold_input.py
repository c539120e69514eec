"""What control and intake write to membership for the benchmarks of the fold: one space, one list audience."""

from collections.abc import Iterator
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from contracts.codec import Headers, encode, event_headers
from contracts.instants import instant_text
from contracts.messages.steps import (
    DefinitionStep,
    ImportApplyStep,
    ImportOpenStep,
    PatchStep,
    RowsHeader,
    Seal,
    Step,
)
from services.domain.rows import Form, Identities, RowBatch, encode_rows, write_rows_header

SPACE: Final = "bench"
BATCH_ROWS: Final = 48_000  # as intake cuts them
READING: Final = "r"
_AUDIENCE, _ID_TYPE, _DAY, _AT_MS = "aud_bench", "user_id", "2026-11-23", 1_795_392_000_000

Values = npt.NDArray[np.uint8]
Written = tuple[Headers, bytes]


def uuids(count: int, seed: int) -> Values:
    """(count, 16) random bytes."""
    return np.frombuffer(np.random.default_rng(seed).bytes(16 * count), dtype=np.uint8).reshape(-1, 16)


class Input:
    """Numbers steps and imports; each call gives the headers and the value of a record."""

    def __init__(self) -> None:
        self._step = 0
        self._imports = 0

    def definition(self) -> Written:
        return _step(DefinitionStep(**self._next(), audience_id=_AUDIENCE, kind="list", id_type=_ID_TYPE))

    def opening(self, mode: Literal["append", "replace"]) -> tuple[str, Written]:
        """The next import and its opening; an append stays 30 days."""
        self._imports += 1
        import_id = f"imp_{self._imports}"
        step = ImportOpenStep(
            **self._next(),
            import_id=import_id,
            feed_id="feed",
            mode=mode,
            day=_DAY,
            event_time_ms=self._imports,
            object_key="k",
            lookback_days=30 if mode == "append" else None,
            id_type=_ID_TYPE,
        )
        return import_id, _step(step)

    def apply(self, import_id: str) -> Written:
        return _step(ImportApplyStep(**self._next(), import_id=import_id, reading_id=READING, audiences=[_AUDIENCE]))

    def patch(self, identifier: str) -> Written:
        """Adds one identifier."""
        step = self._next()
        import_id = f"imp_p{self._step}"
        return _step(
            PatchStep(**step, import_id=import_id, audience_id=_AUDIENCE, operation="add", identifiers=[identifier])
        )

    def _next(self) -> dict[str, Any]:
        self._step += 1
        return {"space_id": SPACE, "step": self._step, "at_ms": _AT_MS}


def rows(import_id: str, values: Values) -> Iterator[Written]:
    """The batches of a reading, and its seal."""
    firsts = range(0, len(values), BATCH_ROWS)
    for sequence, first in enumerate(firsts):
        part = values[first : first + BATCH_ROWS]
        batch = RowBatch(Identities.of_bytes(Form.UUID, part), np.zeros(len(part), dtype=np.uint32), [_AUDIENCE])
        said = RowsHeader(space_id=SPACE, import_id=import_id, reading_id=READING, sequence=sequence, id_type=_ID_TYPE)
        yield write_rows_header(said), encode_rows(batch)
    seal = Seal(space_id=SPACE, import_id=import_id, reading_id=READING, batches=len(firsts), rows=len(values))
    yield _headers("seal", f"{import_id}.seal"), encode(seal)


def _step(step: Step) -> Written:
    return _headers("step", f"{SPACE}.{step.step}"), encode(step)


def _headers(kind: str, id: str) -> Headers:
    return event_headers(id=id, source="/bench", type=kind, space_id=SPACE, time=instant_text(_AT_MS))

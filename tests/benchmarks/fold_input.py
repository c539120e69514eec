"""What control and intake write to membership for the benchmarks of the fold: one space, list audiences."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from contracts.codec import Headers, encode, event_headers
from contracts.instants import DAY_MS, instant_text
from contracts.messages.entities import Expression
from contracts.messages.steps import (
    DefinitionStep,
    ImportApplyStep,
    ImportOpenStep,
    PatchStep,
    RowsHeader,
    Seal,
    Step,
    TickStep,
)
from services.domain.rows import Form, Identities, RowBatch, encode_rows, write_rows_header

BATCH_ROWS: Final = 48_000  # as intake cuts them
READING: Final = "r"
AUDIENCE: Final = "aud_bench"
LOOKBACK_DAYS: Final = 30
_ID_TYPE, _AT_MS = "user_id", 1_795_392_000_000

Values = npt.NDArray[np.uint8]
Written = tuple[Headers, bytes]


def random_values(count: int, seed: int, form: Form = Form.UUID) -> Values:
    """(count, width of the form) random bytes."""
    bytes_ = np.random.default_rng(seed).bytes(form.width_bytes * count)
    return np.frombuffer(bytes_, dtype=np.uint8).reshape(-1, form.width_bytes)


class Input:
    """Numbers steps and imports; each call gives the headers and the value of a record."""

    def __init__(self, space_id: str = "bench") -> None:
        self.space_id = space_id
        self.at_ms = _AT_MS
        self._step = 0
        self._imports = 0

    def definition(self, audience_id: str = AUDIENCE, expression: Expression | None = None) -> Written:
        """A list, or what an expression composes."""
        kind = "list" if expression is None else "composed"
        named: dict[str, Any] = {"audience_id": audience_id, "kind": kind, "id_type": _ID_TYPE}
        return self._step_of(DefinitionStep(**self._next(), **named, expression=expression))

    def opening(self, mode: Literal["append", "replace"], *, lookback_days: int = LOOKBACK_DAYS) -> tuple[str, Written]:
        """The next import and its opening; an append stays for `lookback_days`."""
        self._imports += 1
        import_id = f"imp_{self._imports}"
        step = ImportOpenStep(
            **self._next(),
            import_id=import_id,
            feed_id="feed",
            mode=mode,
            day=instant_text(self.at_ms)[:10],
            event_time_ms=self._imports,
            object_key="k",
            lookback_days=lookback_days if mode == "append" else None,
            id_type=_ID_TYPE,
        )
        return import_id, self._step_of(step)

    def rows(self, import_id: str, members: Mapping[str, Identities]) -> Iterator[Written]:
        """The batches of a reading that names these members of each audience, and its seal."""
        named: dict[str, Any] = {"space_id": self.space_id, "import_id": import_id, "reading_id": READING}
        batches = 0
        for audience_id, identities in members.items():
            for first in range(0, len(identities), BATCH_ROWS):
                part = identities.part(first, min(first + BATCH_ROWS, len(identities)))
                batch = RowBatch(part, np.zeros(len(part), dtype=np.uint32), [audience_id])
                yield write_rows_header(RowsHeader(**named, sequence=batches, id_type=_ID_TYPE)), encode_rows(batch)
                batches += 1
        seal = Seal(**named, batches=batches, rows=sum(map(len, members.values())))
        yield self._headers("seal", f"{import_id}.seal"), encode(seal)

    def apply(self, import_id: str, audiences: Iterable[str] = (AUDIENCE,)) -> Written:
        """The import takes effect on these audiences."""
        named: dict[str, Any] = {"import_id": import_id, "reading_id": READING, "audiences": list(audiences)}
        return self._step_of(ImportApplyStep(**self._next(), **named))

    def patch(self, *identifiers: str, audience_id: str = AUDIENCE) -> Written:
        """Adds them."""
        step = self._next()
        import_id = f"imp_p{self._step}"
        return self._step_of(
            PatchStep(
                **step, import_id=import_id, audience_id=audience_id, operation="add", identifiers=list(identifiers)
            )
        )

    def tick(self, days: int) -> Written:
        """So many days go by."""
        self.at_ms += days * DAY_MS
        return self._step_of(TickStep(**self._next()))

    def _next(self) -> dict[str, Any]:
        self._step += 1
        return {"space_id": self.space_id, "step": self._step, "at_ms": self.at_ms}

    def _step_of(self, step: Step) -> Written:
        return self._headers("step", f"{self.space_id}.{step.step}"), encode(step)

    def _headers(self, kind: str, id: str) -> Headers:
        return event_headers(id=id, source="/bench", type=kind, space_id=self.space_id, time=instant_text(self.at_ms))

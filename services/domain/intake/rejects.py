"""The reject file of an import: one JSON object a line, `{"row": 17, "code": "row-columns"}`, by rising row number.

Of an import of several objects each line names its `object` besides: the last part of its key.

Kept are the first hundred thousand; counted are all. What a row's number counts is said in `refused`. The file never
holds anything of a row's content.
"""

import json
from collections.abc import Sequence
from typing import Final

import numpy as np

from services.domain.intake.refused import RefusedRows

KEPT_MAX: Final = 100_000


class Rejects:
    """The refused rows of one reading. Blocks come in order; within one the refusals may be in any."""

    def __init__(self, *, kept_max: int = KEPT_MAX) -> None:
        self._room = kept_max
        self._lines: list[str] = []
        self._object = ""
        self.by_code: dict[str, int] = {}

    @property
    def count(self) -> int:
        """All refused rows, kept or not."""
        return sum(self.by_code.values())

    def begin(self, key: str) -> None:
        """What follows is of this object, whose rows are counted from the first again."""
        self._object = f',"object":{json.dumps(key.rpartition("/")[2])}'

    def add(self, refused: Sequence[RefusedRows]) -> None:
        """The refused rows of the next block."""
        for rows in refused:
            self.by_code[rows.code.code] = self.by_code.get(rows.code.code, 0) + len(rows.numbers)
        if not refused or not self._room:
            return
        numbers = np.concatenate([rows.numbers for rows in refused])
        kinds = np.repeat(np.arange(len(refused)), [len(rows.numbers) for rows in refused])
        first = np.argsort(numbers, kind="stable")[: self._room]
        self._room -= len(first)
        self._lines += [
            f'{{"row":{number},"code":"{refused[kind].code.code}"{self._object}}}\n'
            for number, kind in zip(numbers[first].tolist(), kinds[first].tolist(), strict=True)
        ]

    def body(self) -> bytes:
        """The file's bytes, empty where nothing was refused."""
        return "".join(self._lines).encode()

"""What intake refuses: a whole object, or rows of one. Numbers and codes only, never an identity.

A row's number counts the rows of data from 1 as a person counts lines: in `caret` and `tab` it is the line's number; in
`csv` the header is not counted and a row with quoted newlines counts once. Blank lines count, but are no rows.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from contracts.codes import Code

Numbers = npt.NDArray[np.int64]


class ObjectRefused(Exception):  # noqa: N818 - named for what happens to the object, as the failure tree does
    """No row of the object counts. `code` is an `object-*` code; `detail` holds nothing of its content."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code.code}: {detail}")
        self.code = code
        self.detail = detail


@dataclass(frozen=True, slots=True, eq=False)
class RefusedRows:
    """Rows that are refused for one reason; `numbers` are rising. `code` is a `row-*` code."""

    code: Code
    numbers: Numbers

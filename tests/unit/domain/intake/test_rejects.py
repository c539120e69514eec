"""Rejects are counted all and kept to a limit, by rising row number."""

import numpy as np

from contracts import codes
from services.domain.intake.refused import RefusedRows
from services.domain.intake.rejects import Rejects


def test_rejects_are_bounded_and_counted() -> None:
    rejects = Rejects(kept_max=4)
    assert (rejects.body(), rejects.count) == (b"", 0)
    rejects.add([RefusedRows(codes.ROW_COLUMNS, np.array([5, 9])), RefusedRows(codes.ROW_ENCODING, np.array([7]))])
    rejects.add([])
    rejects.add([RefusedRows(codes.ROW_COLUMNS, np.array([12, 13])), RefusedRows(codes.ROW_ENCODING, np.array([11]))])
    rejects.add([RefusedRows(codes.ROW_TOO_LONG, np.array([20]))])
    kept = [(5, "row-columns"), (7, "row-encoding"), (9, "row-columns"), (11, "row-encoding")]
    assert rejects.body() == "".join(f'{{"row":{row},"code":"{code}"}}\n' for row, code in kept).encode()
    assert rejects.by_code == {"row-columns": 4, "row-encoding": 2, "row-too-long": 1}
    assert rejects.count == 7

"""The rows of some items as a Parquet file. Imported when the first is asked for: the library takes 40 MB.

A function of the items alone, as the formats in `rows` are.
"""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from services.connectors.files.rows import CHANGE
from services.domain.delivery.merge import Item


def parquet(items: Sequence[Item], compression: str) -> bytes:
    """One row group with the columns of `csv`; what repeats is a dictionary. Compressed within, as Parquet is."""
    lengths = [len(item.members) for item in items]
    said = [item.delivery for item in items]

    def repeated(values: list[str] | list[int]) -> pa.Array:
        indices = pa.array([n for n, length in enumerate(lengths) for _ in range(length)], pa.int32())
        return pa.array(values).take(indices)

    table = pa.table(
        {
            "change": repeated([CHANGE[one.operation] for one in said]),
            "id_type": repeated([one.id_type for one in said]),
            "identifier": pa.concat_arrays([pa.array(item.members, pa.string()) for item in items]),
            "at": repeated([one.at for one in said]),
            "sequence": repeated([one.sequence for one in said]),
        }
    )
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression=compression)
    return bytes(sink.getvalue().to_pybytes())

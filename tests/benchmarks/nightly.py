"""The nightly script that a full refresh replaces: reads both files and computes who entered and who exited.

`python -m tests.benchmarks.nightly polars|duckdb BEFORE AFTER` prints both numbers. Nothing is published, and nothing
survives a crash. A process of its own, so that its CPU seconds and its memory can be asked of the system.
"""

import sys
from importlib import import_module
from typing import Any, Final

COLUMNS: Final = ("id", "audience")


def by_polars(before: str, after: str) -> tuple[int, int]:
    """Two anti joins of lazy frames."""
    polars: Any = import_module("polars")
    old, new = (
        polars.read_csv(path, separator="^", has_header=False, new_columns=COLUMNS, columns=[0])
        for path in (before, after)
    )
    entered = new.join(old, on="id", how="anti")
    exited = old.join(new, on="id", how="anti")
    return entered.height, exited.height


def by_duckdb(before: str, after: str) -> tuple[int, int]:
    """Two tables, two anti joins."""
    duckdb: Any = import_module("duckdb")
    connection = duckdb.connect()
    for name, path in (("old", before), ("new", after)):
        read = f"read_csv('{path}', delim='^', header=false, names=['id', 'audience'], compression='gzip')"
        connection.execute(f"create table {name} as select id from {read}")
    counts = []
    for one, other in (("new", "old"), ("old", "new")):
        connection.execute(f"create table from_{one} as select id from {one} anti join {other} using (id)")
        counts.append(connection.execute(f"select count(*) from from_{one}").fetchone()[0])
    return counts[0], counts[1]


if __name__ == "__main__":
    script, *files = sys.argv[1:]
    print(*{"polars": by_polars, "duckdb": by_duckdb}[script](*files))

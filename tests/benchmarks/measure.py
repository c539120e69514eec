"""What a benchmark yields: values of several runs, their median and spread, and on what they were measured."""

import os
import platform
import statistics
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal

import msgspec
import psutil
from rich.console import Console
from rich.table import Table

VERSIONS_OF: Final = ("aiokafka", "msgspec", "numpy", "pyarrow", "pyroaring")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One figure: `value` is the median of `runs` runs, `spread` their (max - min) / median.

    `cpu_seconds` is the median CPU time of the processes measured, threads included.
    """

    benchmark: str
    case: str
    metric: str
    value: float
    unit: str
    better: Literal["higher", "lower"]
    runs: int
    spread: float
    cores: int
    cpu_seconds: float
    versions: dict[str, str]


def measured(  # noqa: PLR0917 - what a figure is of, then its values
    benchmark: str, case: str, metric: str, unit: str, values: list[float], cpu_seconds: list[float],
    *, better: Literal["higher", "lower"] = "higher", versions: Mapping[str, str] = MappingProxyType({}),
) -> Measured:  # fmt: skip
    """The figure of several runs; `versions` are those of others' software that was measured."""
    median = statistics.median(values)
    return Measured(
        benchmark=benchmark,
        case=case,
        metric=metric,
        value=median,
        unit=unit,
        better=better,
        runs=len(values),
        spread=(max(values) - min(values)) / median if median else 0.0,
        cores=len(os.sched_getaffinity(0)),
        cpu_seconds=statistics.median(cpu_seconds),
        versions={"python": platform.python_version(), **{name: version(name) for name in VERSIONS_OF}, **versions},
    )


def cpu_seconds_of(pids: dict[str, int]) -> float:
    """CPU time so far of these processes, threads included."""
    times = [psutil.Process(pid).cpu_times() for pid in pids.values()]
    return float(sum(one.user + one.system for one in times))


def peak_rss_bytes_of(pids: dict[str, int]) -> float:
    """The most memory that these processes, each for itself, have had since they began (Linux)."""
    words = [Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split() for pid in pids.values()]
    return float(sum(int(kibibytes) << 10 for kibibytes, *_ in words))


def show(found: list[Measured], *, as_json: bool) -> None:
    """A table, or one JSON object a line."""
    if as_json:
        print("\n".join(msgspec.json.encode(one).decode() for one in found))
        return
    table = Table("benchmark", "case", "metric", "median", "unit", "runs", "spread", "CPU s")
    for one in found:
        table.add_row(
            one.benchmark, one.case, one.metric, f"{one.value:,.0f}", one.unit, str(one.runs), f"{one.spread:.0%}",
            f"{one.cpu_seconds:.2f}",
        )  # fmt: skip
    console = Console()
    console.print(table)
    console.print(f"{found[0].cores} cores, {found[0].versions}")

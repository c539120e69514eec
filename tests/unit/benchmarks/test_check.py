"""`make bench-check` fails for a stage that became dearer, and for nothing else."""

import json
from pathlib import Path

import pytest

from tests.benchmarks.check import RECORDED, dearer, main
from tests.benchmarks.stages import STAGES, Call


def busy(times: int) -> Call:
    return lambda: sum(range(times * 20_000))


@pytest.mark.parametrize(
    ("found", "worse"),
    [(0.5, []), (1.0, []), (1.19, []), (1.21, ["stage"]), (3.0, ["stage"])],
)
def test_a_fifth_more_is_too_much(found: float, worse: list[str]) -> None:
    assert dearer({"stage": found}, {"stage": 1.0}) == worse


def test_a_stage_that_nobody_recorded_is_worse() -> None:
    assert dearer({"new": 0.1}, {}) == ["new"]


def test_a_stage_made_twice_as_dear_trips_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recorded_in = tmp_path / "stages.json"
    assert main(["--record"], stages={"stage": lambda: busy(20)}, recorded_in=recorded_in) == 0
    assert main([], stages={"stage": lambda: busy(5)}, recorded_in=recorded_in) == 0
    assert main([], stages={"stage": lambda: busy(60)}, recorded_in=recorded_in) == 1
    assert "WORSE stage" in capsys.readouterr().out


def test_every_stage_is_recorded() -> None:
    assert json.loads(RECORDED.read_text()).keys() == STAGES.keys()

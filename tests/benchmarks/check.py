"""`make bench-check`: fails where a stage has become more than a fifth dearer than was recorded.

What is recorded is the CPU time of a stage over that of a fixed reference loop in the same run, so that another machine
or another load says much the same. `python -m tests.benchmarks.check --record` writes what is found now: for whoever
made a stage dearer on purpose, and says so in the commit.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.benchmarks.stages import STAGES, Call, reference

RECORDED: Final = Path(__file__).with_name("stages.json")
WORSE_MAX: Final = 0.20
_ROUNDS: Final = 9
_AGAIN: Final = 3  # a stage that seems dearer is measured anew: a neighbour's load comes and goes


def main(
    arguments: list[str] | None = None,
    *,
    stages: Mapping[str, Callable[[], Call]] = STAGES,
    recorded_in: Path = RECORDED,
) -> int:
    """Exit 1 where a stage is dearer than recorded, or not recorded at all."""
    parser = argparse.ArgumentParser(description="holds the cost of stages to what was recorded")
    parser.add_argument("--record", action="store_true", help="record what is found now")
    found = {name: ratio(make) for name, make in stages.items()}
    if parser.parse_args(arguments).record:
        recorded_in.write_text(json.dumps({name: round(one, 4) for name, one in found.items()}, indent=2) + "\n")
        return 0
    recorded: dict[str, float] = json.loads(recorded_in.read_text())
    for _ in range(_AGAIN):
        for name in dearer(found, recorded):
            found[name] = min(found[name], ratio(stages[name]))
    worse = dearer(found, recorded)
    for name, one in found.items():
        said = f"recorded {recorded[name]:.3f}" if name in recorded else "not recorded: run with --record"
        print(f"{'WORSE' if name in worse else 'ok':6}{name:36}{one:8.3f}  {said}")
    return 1 if worse else 0


def dearer(found: Mapping[str, float], recorded: Mapping[str, float]) -> list[str]:
    """The stages whose ratio is more than `WORSE_MAX` above the recorded one, or that have none."""
    return [name for name, one in found.items() if one > recorded.get(name, 0.0) * (1 + WORSE_MAX)]


def ratio(make: Callable[[], Call]) -> float:
    """The least CPU time of the stage over the least of the reference, called in turn."""
    stage, loop = make(), reference()
    stage()
    loop()
    times = [(_seconds(stage), _seconds(loop)) for _ in range(_ROUNDS)]
    return min(one for one, _ in times) / min(one for _, one in times)


def _seconds(call: Call) -> float:
    began = time.process_time()
    call()
    return time.process_time() - began


if __name__ == "__main__":
    sys.exit(main())

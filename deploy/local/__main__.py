"""`python -m deploy.local up | down | status`: the local stack before, and without, the `usher` command."""

import argparse
import sys
from pathlib import Path

from deploy.local import stack
from deploy.local.state import StackError, settings_of


def main() -> int:
    """Returns the exit code: 1 if there is no stack, or a part of it does not run."""
    parser = argparse.ArgumentParser(prog="python -m deploy.local")
    parser.add_argument("call", choices=["up", "down", "status"])
    parser.add_argument("--fresh", action="store_true", help="up: throw away the data of earlier runs")
    parser.add_argument("--containers", action="store_true", help="up: ask a Docker engine for the parts")
    parser.add_argument("--root", type=Path, default=Path(), help="the folder that holds .usher/")
    options = parser.parse_args()
    try:
        if options.call == "down":
            return 0 if stack.down(options.root, _say) else 1
        state = (
            stack.up(options.root, fresh=options.fresh, containers=options.containers, say=_say)
            if options.call == "up"
            else stack.status(options.root)
        )
    except StackError as error:
        print(error, file=sys.stderr)
        return 1
    if state is None:
        _say(f"no stack at {options.root.absolute()}")
        return 1
    parts = stack.liveness(state)
    _say(", ".join(f"{name} is {part}" for name, part in parts.items()))
    for name, value in settings_of(state).items():
        print(f"export {name}={value}")
    return 0 if set(parts.values()) <= {"given", "running"} else 1


def _say(line: str) -> None:
    print(line, file=sys.stderr)


sys.exit(main())

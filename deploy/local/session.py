"""A stack for a test session, and its broker to take away and bring back.

Called by tests only; `stack` does the work.
"""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from deploy.local import kafka, processes
from deploy.local.stack import down, up
from deploy.local.state import Layout, Process, StackError, StackState, read_state, write_state


@contextlib.contextmanager
def session_stack(
    folder: Path, *, containers: bool = False, say: Callable[[str], None] = lambda _: None
) -> Iterator[StackState]:
    """A stack of one's own below `folder`, deaf to the environment, gone with its processes at the end."""
    try:
        yield up(folder, fresh=True, containers=containers, say=say, environ={})
    finally:
        down(folder, say, keep_objects=False)


class Broker:
    """The broker of a started stack, for tests that take it away and bring it back. Keeps the state file true."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def kill(self) -> None:
        """Ends the broker as a power cut would (SIGKILL)."""
        processes.kill(self._process())

    def stop(self) -> None:
        """Ends the broker as an administrator would; it hands its partitions over first."""
        processes.stop(self._process(), grace_seconds=kafka.STOP_WITHIN_SECONDS)

    def restart(self) -> None:
        """Starts the broker, if it does not run, on the same data and ports, and waits until it answers."""
        if processes.alive(self._process()):
            return
        layout = Layout(self._root)
        state = self._state()
        process = kafka.restart(layout, lambda _: None)
        others = tuple(other for other in state.processes if other.name != "kafka")
        write_state(self._root, msgspec.structs.replace(state, processes=(*others, process)))
        kafka.wait_for(process, state.kafka_bootstrap_servers, layout)

    def _state(self) -> StackState:
        state = read_state(self._root)
        if state is None:
            raise StackError(f"there is no stack at {self._root}")
        return state

    def _process(self) -> Process:
        process = self._state().process("kafka")
        if process is None:
            raise StackError("this stack's Kafka was given, not started: it is not ours to end")
        return process

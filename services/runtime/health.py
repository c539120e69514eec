"""Whether the process is alive and ready: facts that the loops report and `/livez` and `/readyz` read.

A *gate* is something that must have happened before we are ready (assigned and restored, catalogue read). A *pulse* is
a loop that must make progress to count as alive. Neither knows HTTP; `adapters.http_server` serves what stands here.
"""

from types import TracebackType
from typing import Final, Self

from services.runtime.clock import Clock

LOOP_SILENT_SECONDS_MAX: Final = 30.0  # a loop that did not turn for so long is stuck in a call that never awaits


class Gate:
    """Closed until `open`; ready means that every gate is open."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.is_open = False

    def open(self) -> None:
        self.is_open = True

    def close(self) -> None:
        self.is_open = False


class Pulse:
    """Progress of one loop, expected every `allowed_seconds` from when it is made until the `with` block ends."""

    def __init__(self, health: "Health", name: str, allowed_seconds: float) -> None:
        self._health = health
        self.name = name
        self.allowed_seconds = allowed_seconds
        self.last_seconds = health.clock.monotonic_seconds()

    def beat(self) -> None:
        """The loop made progress: a poll returned, a chunk was written, a delivery was tried."""
        self.last_seconds = self._health.clock.monotonic_seconds()

    def __enter__(self) -> Self:
        self._health.pulses.add(self)
        self.beat()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._health.pulses.discard(self)


class Health:
    """All gates and pulses of one process."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.pulses: set[Pulse] = set()
        self._gates: list[Gate] = []
        self._turned_seconds = clock.monotonic_seconds()
        self._stopping = False

    def gate(self, name: str) -> Gate:
        """A new closed gate; make all gates before the first await of `main`, or readiness comes too early."""
        made = Gate(name)
        self._gates.append(made)
        return made

    def pulse(self, name: str, *, allowed_seconds: float) -> Pulse:
        """A pulse to be used in a `with` statement around the loop."""
        return Pulse(self, name, allowed_seconds)

    def apart(self) -> "Health":
        """For what comes and goes with the data: its pulses count as ours, its gates keep nobody waiting."""
        made = Health(self.clock)
        made.pulses = self.pulses
        return made

    def turned(self) -> None:
        """The event loop has turned; called by `lifecycle` every second."""
        self._turned_seconds = self.clock.monotonic_seconds()

    def stop(self) -> None:
        """Not ready any more: the process drains."""
        self._stopping = True

    def not_alive(self) -> list[str]:
        """Why the process should be restarted, in words; [] while it is alive."""
        now = self.clock.monotonic_seconds()
        reasons = [
            f"{pulse.name}: no progress for {now - pulse.last_seconds:.0f} s"
            for pulse in self.pulses
            if now - pulse.last_seconds > pulse.allowed_seconds
        ]
        if now - self._turned_seconds > LOOP_SILENT_SECONDS_MAX:
            reasons.append(f"event loop: did not turn for {now - self._turned_seconds:.0f} s")
        return sorted(reasons)

    def not_ready(self) -> list[str]:
        """What is still awaited, in words; [] when the process does its work."""
        waiting = [f"{gate.name}: waiting" for gate in self._gates if not gate.is_open]
        return [*waiting, "stopping"] if self._stopping else waiting

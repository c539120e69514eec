"""One record's, or one timer's, work on one space."""

from dataclasses import dataclass, field

from contracts.instants import instant_text
from services.domain.control.config import ShardConfig
from services.domain.control.effects import Effects
from services.domain.control.space_state import SpaceState


@dataclass(slots=True)
class Spent:
    """What has been done of that of which a record may do only so much."""

    instants: int = 0  # that clock.advance went through


@dataclass(frozen=True, slots=True)
class Turn:
    """`now_ms` is the machine's clock: for deadlines, and for the time of spaces that keep system time.

    `instant_ms`: what is done belongs to this instant of the space, which time has reached or passed.
    """

    state: SpaceState
    effects: Effects
    config: ShardConfig
    now_ms: int
    instant_ms: int | None = None
    spent: Spent = field(default_factory=Spent)

    @property
    def space_id(self) -> str:
        return self.state.space_id

    @property
    def at_ms(self) -> int:
        """The space's time."""
        return self.state.time_ms(self.now_ms) if self.instant_ms is None else self.instant_ms

    @property
    def at(self) -> str:
        return instant_text(self.at_ms)

    def next_step(self) -> int:
        """The number of a step that is written now, at the space's time."""
        self.state.move_time(self.at_ms)
        return self.state.take_step()

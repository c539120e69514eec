"""What playing a scenario yields: checks, and the account of them."""

from dataclasses import dataclass, field

from services.tools.scenario import Scenario


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation: what it is of, on which day, what was expected and what is."""

    day: int
    what: str
    expected: object
    actual: object

    @property
    def ok(self) -> bool:
        return self.expected == self.actual


@dataclass(frozen=True, slots=True)
class Sent:
    """What became of one activation's changes, in members. `size` is that of the audience when all were delivered."""

    activation_id: str
    size: int
    published: int
    delivered: int
    merged: int


@dataclass(slots=True)
class Played:
    """The account of one scenario. `trouble` says why it ended early; `sent` is filled where it was delivered."""

    scenario: Scenario
    space: str
    checks: list[Check] = field(default_factory=list)
    trouble: str | None = None
    sent: list[Sent] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.trouble is None and all(check.ok for check in self.checks)


@dataclass(frozen=True, slots=True)
class DeliverTo:
    """A webhook that gets every audience of the scenario; `secret` is a reference (`env:NAME`, `file:/path`)."""

    url: str
    secret: str


class PlayError(Exception):
    """The system did not answer as a running system does; the message says to what."""

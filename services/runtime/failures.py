"""The failure tree. Every foreign exception is mapped to one of these at its adapter.

Rejected        this record, for ever: to dead letters, its neighbours go on
Unavailable     not now: back off, nothing is committed, nobody need act
Stop            (BaseException, so that no broad handler can swallow a stop signal)
  Fenced        another owner of this shard exists: drop the state, rejoin, never re-initialise
  Fatal         the worker can't go on rightly; says what to do
    OffsetLost  retention has passed the position: data would be skipped
"""

from contracts.codes import Code


class Rejected(Exception):  # noqa: N818 - named for what happens to the record
    """`code` is declared in contracts.codes; `detail` never holds identifiers."""

    def __init__(self, code: Code, detail: str) -> None:
        super().__init__(f"{code.code}: {detail}")
        self.code = code
        self.detail = detail


class Unavailable(Exception):  # noqa: N818 - named for the state of the other side
    """Retried by itself. `retry_after_seconds` is what the other side asked for, if it did."""

    def __init__(self, detail: str, *, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail)
        self.retry_after_seconds = retry_after_seconds


class Stop(BaseException):
    """Ends the shard or the worker; deliberately no Exception."""


class Fenced(Stop):
    """A newer owner holds the transactional id."""


class Fatal(Stop):
    """The operator must act; the message says how."""


class OffsetLost(Fatal):
    """The log no longer reaches back to the position."""

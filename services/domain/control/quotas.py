"""What a space may have and ask for (`contracts.messages.entities.Quotas`), checked where it is asked for.

All that is counted is a function of the commands, their timestamps included: a replay refuses what was refused.
"""

from contracts import codes
from contracts.instants import DAY_MS
from contracts.messages.entities import Quotas
from services.domain.catalogue.failed import fail
from services.domain.control.command import Command, Refused
from services.domain.control.turn import Turn


def count_command(turn: Turn, command: Command) -> None:
    """Raises `Refused`(quota-exceeded) from so many commands of one second on: it may be sent again later."""
    quota = _quotas(turn).commands_a_second
    if turn.state.count_command(command.sent_ms // 1_000) > quota:
        raise Refused(codes.QUOTA_EXCEEDED, f"at most {quota} commands a second")


def count_identifiers(turn: Turn, count: int) -> None:
    """Raises `ItemFailed`(quota-exceeded) where the day's are used up, and counts nothing then."""
    quota, day = _quotas(turn).identifiers_a_day, turn.at_ms // DAY_MS
    if turn.state.identifiers_of(day) + count > quota:
        fail(codes.QUOTA_EXCEEDED, f"at most {quota} identifiers a day")
    turn.state.count_identifiers(day, count)


def check_audiences(turn: Turn) -> None:
    """Raises `ItemFailed`(quota-exceeded) where there is no room for one more."""
    quota = _quotas(turn).audiences
    if len(turn.state.catalogue.audiences) >= quota:
        fail(codes.QUOTA_EXCEEDED, f"at most {quota} audiences")


def check_feeds(turn: Turn) -> None:
    """Raises `ItemFailed`(quota-exceeded) where there is no room for one more."""
    quota = _quotas(turn).feeds
    if len(turn.state.catalogue.feeds) >= quota:
        fail(codes.QUOTA_EXCEEDED, f"at most {quota} feeds")


def _quotas(turn: Turn) -> Quotas:
    space = turn.state.catalogue.space
    return Quotas() if space is None else space.quotas

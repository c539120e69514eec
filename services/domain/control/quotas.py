"""What a space may have and ask for (`contracts.messages.entities.Quotas`). Whatever lies beyond is refused alone.

| quota | beyond it | code |
|---|---|---|
| `audiences`, `feeds`, `identifiers_a_day` | the item fails | `quota-exceeded` |
| `commands_a_second` | the command is rejected, but for `spaces.update` | `quota-exceeded` |
| `layers` | the append that would be one more layer of an audience fails, whole | `layers-too-many` |
| `identities` | new ones are refused: an import whole, of commands and topic feeds they alone | `identities-too-many` |
| `readings` | an opened import waits until another has been read | none |
| `imports` | an announced object fails, and may come again; a part of a set never does | `imports-too-many` |

The first two rows are judged here. All that they count is a function of the commands, their timestamps included: a
replay refuses what was refused. Layers and identities are judged by membership, which is told with the step what the
space may have: layers as a reading is staged (appends that are staged together may pass by so many), identities by id
type and partition, each of which may hold its share and as many more as one command or batch of events names.
"""

from contracts import codes
from contracts.instants import DAY_MS
from contracts.messages.entities import Quotas
from services.domain.catalogue.failed import fail
from services.domain.control.command import Command, Refused
from services.domain.control.turn import Turn


def count_command(turn: Turn, command: Command) -> None:
    """Raises `Refused`(quota-exceeded) from so many commands of one second on: it may be sent again later.

    What can raise a quota that was set too low is never refused.
    """
    quota = quotas(turn).commands_a_second
    if turn.state.count_command(command.sent_ms // 1_000) > quota and command.type != "spaces.update":
        raise Refused(codes.QUOTA_EXCEEDED, f"at most {quota} commands a second")


def count_identifiers(turn: Turn, count: int) -> None:
    """Raises `ItemFailed`(quota-exceeded) where the day's are used up, and counts nothing then."""
    quota, day = quotas(turn).identifiers_a_day, turn.at_ms // DAY_MS
    if turn.state.identifiers_of(day) + count > quota:
        fail(codes.QUOTA_EXCEEDED, f"at most {quota} identifiers a day")
    turn.state.count_identifiers(day, count)


def check_audiences(turn: Turn) -> None:
    """Raises `ItemFailed`(quota-exceeded) where there is no room for one more."""
    quota = quotas(turn).audiences
    if len(turn.state.catalogue.audiences) >= quota:
        fail(codes.QUOTA_EXCEEDED, f"at most {quota} audiences")


def check_feeds(turn: Turn) -> None:
    """Raises `ItemFailed`(quota-exceeded) where there is no room for one more."""
    quota = quotas(turn).feeds
    if len(turn.state.catalogue.feeds) >= quota:
        fail(codes.QUOTA_EXCEEDED, f"at most {quota} feeds")


def quotas(turn: Turn) -> Quotas:
    """What the space may have now."""
    space = turn.state.catalogue.space
    return Quotas() if space is None else space.quotas

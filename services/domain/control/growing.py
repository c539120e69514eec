"""Activations that wait for their audience to reach the least size that their destination takes (decision 0035).

Membership holds their changes back and says what it holds; here is decided when that is enough.
"""

import msgspec

from contracts.messages.control_state import Delivering, Growing
from contracts.messages.entities import Activation
from contracts.messages.results import Held
from services.domain.control.counting import with_held
from services.domain.control.turn import Turn
from services.domain.delivery.router import WANTED


def members_min(turn: Turn, activation: Activation) -> int:
    """How many members an audience must have before its destination is told of any; 0 or 1: any."""
    destination = turn.state.catalogue.destinations.get(activation.destination_id)
    rules = None if destination is None else turn.config.connectors.get(destination.connector)
    return 0 if destination is None or rules is None else rules.members_min(destination)


def waits(turn: Turn, before: Delivering, step: int, *, resync: bool) -> Delivering:
    """From this step on; what each partition holds it will say."""
    return msgspec.structs.replace(with_held(turn, before, {}), growing=Growing(step=step, resync=resync))


def reported(turn: Turn, before: Delivering, activation: Activation, held: Held) -> Delivering:
    """A partition has said what it holds; what it said before it was to wait counts no more."""
    growing = before.growing
    if growing is None or held.step < growing.step:
        return before
    wanted = WANTED.get(activation.activation_type, frozenset())
    members = held.entered * ("add" in wanted) + held.exited * ("remove" in wanted)
    growing = msgspec.structs.replace(growing, sizes=growing.sizes | {held.partition: held.size})
    after = with_held(turn, before, before.held | {held.partition: members})
    return msgspec.structs.replace(after, growing=growing)


def is_grown(turn: Turn, delivering: Delivering, activation: Activation) -> bool:
    """Whether it waits, and need not any longer."""
    growing = delivering.growing
    return growing is not None and sum(growing.sizes.values()) >= max(1, members_min(turn, activation))

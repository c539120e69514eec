"""Replies, and those that come later than their command: one for each command, whatever is repeated meanwhile."""

import msgspec

from contracts import codec
from contracts.ids import made_id
from contracts.instants import instant_text
from contracts.messages.control_state import Advancing, Remembered, Verifying
from contracts.messages.published import Reply
from contracts.messages.results import Counted
from services.domain.control.answer import packed
from services.domain.control.turn import Turn


def send_reply(turn: Turn, about: Remembered | Advancing | Verifying, body: bytes) -> None:
    """The same id each time: a repeated command has the same reply again."""
    turn.effects.reply(
        turn.space_id,
        body,
        id_=made_id("rep", turn.space_id, about.id, about.at_ms),
        command_topic=about.command_topic,
        command_type=about.command_type,
        command_id=about.command_id,
        at=instant_text(about.at_ms),
    )


def reached(turn: Turn, partition: int, step: int) -> None:
    """A partition has reached a step; after the last one the command that waits for it is answered."""
    for advancing in turn.state.advances:
        if advancing.step != step or partition not in advancing.waiting:
            continue
        waiting = [one for one in advancing.waiting if one != partition]
        if waiting:
            turn.state.advances.put(advancing.id, msgspec.structs.replace(advancing, waiting=waiting))
            continue
        turn.state.advances.drop(advancing.id)
        answer_at_last(turn, advancing, advancing.reply)


def counted(turn: Turn, result: Counted) -> None:
    """A partition says how many members an audience has there; what it says last it was asked last."""
    for advancing in turn.state.advances:
        data = [_added(one, result) for one in advancing.reply.data]
        if data != advancing.reply.data:
            reply = msgspec.structs.replace(advancing.reply, data=data)
            turn.state.advances.put(advancing.id, msgspec.structs.replace(advancing, reply=reply))
    reached(turn, result.partition, result.step)


def _added(data: object, result: Counted) -> object:
    """The data of an item, which may be JSON already: none that is still to be counted is."""
    if not isinstance(data, dict) or data.get("step") != result.step or "identifiers" not in data:
        return data
    before = data["identifiers"] or 0
    assert isinstance(before, int)
    return data | {"identifiers": before + result.size}


def answer_at_last(turn: Turn, about: Advancing | Verifying, reply: Reply) -> None:
    """What the command waited for is there: whoever repeats it from now on has this reply."""
    remembered = turn.state.replies.get(about.id)
    if remembered is not None:
        turn.state.replies.put(remembered.id, msgspec.structs.replace(remembered, reply=packed(reply)))
    send_reply(turn, about, codec.encode(reply))

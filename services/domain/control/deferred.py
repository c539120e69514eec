"""Replies, and those that come later than their command: one for each command, whatever is repeated meanwhile."""

import msgspec

from contracts import codec
from contracts.ids import made_id
from contracts.instants import instant_text
from contracts.messages.control_state import Advancing, Remembered, Verifying
from contracts.messages.published import Reply
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


def answer_at_last(turn: Turn, about: Advancing | Verifying, reply: Reply) -> None:
    """What the command waited for is there: whoever repeats it from now on has this reply."""
    remembered = turn.state.replies.get(about.id)
    if remembered is not None:
        turn.state.replies.put(remembered.id, msgspec.structs.replace(remembered, reply=packed(reply)))
    send_reply(turn, about, codec.encode(reply))

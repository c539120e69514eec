"""`destinations.verify`: activation is asked, which alone knows secrets and does I/O; the reply waits for its answers.

Called for items, by `approval` when the command is done, when an answer comes, and by the clock: who is not answered in
time is told so, once, and what is answered later is dropped. Nothing of it touches a delivery queue.
"""

from collections.abc import Mapping

import msgspec

from contracts import codes
from contracts.codes import Code
from contracts.messages.commands import VERIFICATIONS_MAX, DestinationReference
from contracts.messages.control_state import Remembered, Verifying
from contracts.messages.delivery import Verification, Verified
from contracts.messages.published import Reply, ReplyCounts
from services.domain.catalogue.failed import fail
from services.domain.catalogue.item import Origin, referred
from services.domain.control.answer import ItemAnswer, problem
from services.domain.control.deferred import answer_at_last
from services.domain.control.turn import Turn

_DETAIL_CHARS_MAX = 500


def destination_verified(turn: Turn, item: DestinationReference, origin: Origin) -> ItemAnswer:
    """Asks; raises `ItemFailed`(quota-exceeded) where too many questions of the space wait for an answer."""
    destination = referred(turn.state.catalogue.destinations, item)
    waiting = sum(len(one.waiting) for one in turn.state.verifying.unordered())
    if waiting + origin.item >= VERIFICATIONS_MAX:  # the items before this one have asked, or might have
        fail(codes.QUOTA_EXCEEDED, f"at most {VERIFICATIONS_MAX} destinations of a space are verified at a time")
    verification = Verification(
        space_id=turn.space_id,
        verification_id=origin.make_id("ver", turn.now_ms),
        destination_id=destination.destination_id,
        until_ms=turn.now_ms + turn.config.verification_ms,
    )
    turn.effects.verification(verification, turn.at)
    data: dict[str, object] = {"destination_id": destination.destination_id, "version": destination.version}
    return ItemAnswer(data, waits_for_verification=verification.verification_id)


def wait_for_answers(turn: Turn, command: Remembered, reply: Reply, waiting: Mapping[str, int]) -> None:
    """The reply is kept until every question has its answer; `waiting` are the items by question."""
    verifying = Verifying(
        space_id=turn.space_id,
        id=command.id,
        waiting=dict(waiting),
        command_topic=command.command_topic,
        command_id=command.command_id,
        command_type=command.command_type,
        reply=reply,
        at_ms=turn.now_ms,
        deadline_ms=turn.now_ms + turn.config.verification_ms,
    )
    turn.state.verifying.put(verifying.id, verifying)


def answered(turn: Turn, outcome: Verified) -> None:
    """One item knows what came of it; what nobody waits for, or has heard already, is no news."""
    for verifying in turn.state.verifying:
        item = verifying.waiting.get(outcome.verification_id)
        if item is None:
            continue
        if outcome.code is None:
            reply = _well(verifying.reply, item, outcome.latency_ms)
        else:
            code = codes.ALL.get(outcome.code, codes.DELIVERY_UNAVAILABLE)  # one of a later version
            reply = _failed(verifying.reply, item, code, (outcome.detail or code.title)[:_DETAIL_CHARS_MAX])
        waiting = {id_: one for id_, one in verifying.waiting.items() if id_ != outcome.verification_id}
        _go_on(turn, msgspec.structs.replace(verifying, waiting=waiting, reply=reply))


def overdue(turn: Turn) -> None:
    """Answers the commands that have waited too long."""
    for verifying in turn.state.verifying:
        if verifying.deadline_ms <= turn.now_ms:
            reply = verifying.reply
            for item in verifying.waiting.values():
                reply = _failed(
                    reply, item, codes.DESTINATION_NOT_VERIFIED, "no activation worker answered: is one running?"
                )
            _go_on(turn, msgspec.structs.replace(verifying, waiting={}, reply=reply))


def _go_on(turn: Turn, verifying: Verifying) -> None:
    if verifying.waiting:
        turn.state.verifying.put(verifying.id, verifying)
        return
    turn.state.verifying.drop(verifying.id)
    answer_at_last(turn, verifying, verifying.reply)


def _well(reply: Reply, item: int, latency_ms: int) -> Reply:
    said: dict[str, object] = {"verified": True, "latency_ms": latency_ms}
    return msgspec.structs.replace(reply, data=[one | said if one["item"] == item else one for one in reply.data])


def _failed(reply: Reply, item: int, code: Code, detail: str) -> Reply:
    """The item is no success after all; what was remarked on it goes with it."""
    data = [one for one in reply.data if one["item"] != item]
    errors = sorted([*reply.errors, problem(code, detail, item, reply.trace_id)], key=lambda one: one.item or 0)
    return msgspec.structs.replace(
        reply,
        counts=ReplyCounts(items=reply.counts.items, applied=len(data), failed=len(errors)),
        data=data,
        errors=errors,
        warnings=[one for one in reply.warnings if one.item != item],
    )

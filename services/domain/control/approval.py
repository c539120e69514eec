"""A command's way through a space: idempotency, approval item by item in order, one reply (contracts.md §3)."""

from dataclasses import replace

import msgspec

from contracts import codes
from contracts.ids import made_id
from contracts.instants import instant_text
from contracts.messages.commands import ITEM_TYPES
from contracts.messages.control_state import Advancing, Remembered
from contracts.messages.published import Reply
from contracts.messages.queries import ImportQuery, Query
from services.domain.catalogue.failed import ItemFailed
from services.domain.catalogue.item import Origin
from services.domain.catalogue.item_form import decode_item, ignored_fields
from services.domain.control.access import CLOCK_SKEW_MS, Sender, Window
from services.domain.control.answer import Answer, Said, said, unpacked
from services.domain.control.audit import Trail
from services.domain.control.command import Command, Refused
from services.domain.control.deferred import send_reply
from services.domain.control.effects import Effects
from services.domain.control.items import leaves_no_trace, only_reads, take_effect
from services.domain.control.quotas import count_command
from services.domain.control.read_items import nothing_found
from services.domain.control.turn import Turn
from services.domain.control.verifications import wait_for_answers


def approve(turn: Turn, command: Command, sender: Sender) -> None:
    """Lets the command take effect once and answers it.

    Raises `Refused`(quota-exceeded, idempotency-key-reused, space-unknown).
    """
    command = sender.own(command)
    count_command(turn, command)
    if only_reads(command.type):
        _read(turn, command, sender)
        return
    _forget_old_replies(turn)
    before = turn.state.replies.get(command.remembered_id)
    if before is not None:
        _repeat(turn, command, before)
        return
    if turn.state.catalogue.space is None and command.type != "spaces.create":
        raise Refused(codes.SPACE_UNKNOWN, f"there is no space {turn.space_id[:64]!r}")
    if command.validate_only:
        with turn.state.tried_out():
            _, reply = _answer(replace(turn, effects=Effects(turn.config)), command, sender)
        _conclude(turn, command, reply, None)
    else:
        answer, reply = _answer(turn, command, sender)
        _conclude(turn, command, reply, answer)


def _read(turn: Turn, command: Command, sender: Sender) -> None:
    """Answered as things stand, the same command again too; nothing is remembered."""
    if turn.state.catalogue.space is None:
        raise Refused(codes.SPACE_UNKNOWN, f"there is no space {turn.space_id[:64]!r}")
    _, reply = _answer(turn, command, sender)
    turn.effects.reply(
        turn.space_id,
        reply.body,
        id_=made_id("rep", turn.space_id, command.remembered_id, turn.now_ms),
        command_topic=command.topic,
        command_type=command.type,
        command_id=command.id,
        at=instant_text(turn.now_ms),
    )


def remembered(turn: Turn) -> Window:
    """When a command that comes again now must have been sent to be known as a repeat."""
    oldest = turn.state.replies.oldest()
    begin_ms = turn.now_ms - turn.config.replies_keep_ms
    if oldest is not None and len(turn.state.replies) >= turn.config.replies_max:
        begin_ms = max(begin_ms, oldest.at_ms)
    return Window(begin_ms, turn.now_ms + CLOCK_SKEW_MS)


def _answer(turn: Turn, command: Command, sender: Sender) -> tuple[Answer, Said]:
    """The reply, gathered and said."""
    catalogue = turn.state.catalogue
    answer = Answer(items=len(command.items), trace_id=command.trace_id, forms=catalogue.forms)
    if command.unknown:
        answer.warn(codes.UNKNOWN_FIELD, f"ignored: {', '.join(command.unknown)[:300]}", None)
    if command.type not in ITEM_TYPES and not command.items:
        answer.failed(codes.NOT_SUPPORTED_YET, command.type, None)
    with catalogue.seen_by(None if sender.scope is None else sender.scope.sees):
        _approve_items(turn, command, sender, answer)
    return answer, said(
        answer.reply(turn.at_ms),
        bytes_max=turn.config.reply_bytes_max,
        kept_bytes_max=None if only_reads(command.type) else turn.config.reply_packed_bytes_max,
    )


def _approve_items(turn: Turn, command: Command, sender: Sender, answer: Answer) -> None:
    item_type = ITEM_TYPES.get(command.type)
    trail = None if leaves_no_trace(command.type) else Trail(turn, command, sender)
    for number, raw in enumerate(command.items):
        origin = Origin(command.space_id, command.source, command.id, number, turn.at_ms, sender.name)
        if item_type is None:
            answer.failed(codes.NOT_SUPPORTED_YET, command.type, number)
            continue
        try:
            item = decode_item(raw, item_type)
            remarks = list(ignored_fields(raw, item))
            turn.state.catalogue.take_notice()
            if remarks and isinstance(item, Query | ImportQuery):
                done = nothing_found(item)  # a misspelt filter must not find everything
            else:
                done = take_effect(turn, command.type, item, origin)
        except ItemFailed as error:
            answer.failed(error.code, error.detail, number, error.invalid)
            continue
        answer.applied(number, done)
        if trail is not None:
            trail.item(number, done)
        for code, detail in remarks:
            answer.warn(code, detail, number)


def _conclude(turn: Turn, command: Command, reply: Said, answer: Answer | None) -> None:
    """Remembers and replies, now or when what `answer` has to wait for is there; None: it was only tried out."""
    step = None if answer is None else answer.waits_for_step
    questions = {} if answer is None else answer.waits_for_verifications
    remembered = Remembered(
        space_id=turn.space_id,
        id=command.remembered_id,
        digest=command.digest,
        command_topic=command.topic,
        command_id=command.id,
        command_type=command.type,
        reply=reply.kept if step is None and not questions else b"",
        at_ms=turn.now_ms,
        sequence=turn.state.take_sequence(),
    )
    turn.state.replies.put(remembered.id, remembered)
    if step is not None:
        _wait_for_step(turn, remembered, reply.reply, step)
    elif questions:
        wait_for_answers(turn, remembered, reply.reply, questions)
    else:
        send_reply(turn, remembered, reply.body)


def _wait_for_step(turn: Turn, command: Remembered, reply: Reply, step: int) -> None:
    same_step = [one.waiting for one in turn.state.advances if one.step == step]
    advancing = Advancing(
        space_id=turn.space_id,
        id=command.id,
        step=step,
        waiting=same_step[0] if same_step else list(range(turn.config.membership_partitions)),
        command_topic=command.command_topic,
        command_id=command.command_id,
        command_type=command.command_type,
        reply=reply,
        at_ms=turn.now_ms,
    )
    turn.state.advances.put(advancing.id, advancing)


def _repeat(turn: Turn, command: Command, before: Remembered) -> None:
    if before.digest != command.digest:
        raise Refused(codes.IDEMPOTENCY_KEY_REUSED, "this source and id came before with other bytes")
    if before.reply:  # else the first one still waits, and one reply answers both
        send_reply(turn, msgspec.structs.replace(before, command_topic=command.topic), unpacked(before.reply))


def _forget_old_replies(turn: Turn) -> None:
    replies, config = turn.state.replies, turn.config
    while (oldest := replies.oldest()) is not None and (
        oldest.at_ms < turn.now_ms - config.replies_keep_ms or len(replies) >= config.replies_max
    ):
        replies.drop(oldest.id)

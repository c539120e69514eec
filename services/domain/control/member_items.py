"""Items about members: identifiers become one patch step, on the partitions that they live on."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final, Literal, NamedTuple

import msgspec

from contracts import codec, codes
from contracts.codes import Code
from contracts.ids import canonical
from contracts.instants import day_of, day_start_ms
from contracts.messages.commands import MembersClear, MembersItem
from contracts.messages.control_state import Applying, InFlight
from contracts.messages.entities import Audience
from contracts.messages.published import Import, ImportCounts
from contracts.messages.steps import PatchStep
from contracts.partitioning import member_partition
from contracts.raw_ids import RAW_ID_TYPES, RAW_OF, hashed
from services.domain.catalogue.audiences import checked_id_type
from services.domain.catalogue.failed import Invalid, ItemFailed, fail, quoted
from services.domain.catalogue.item import Origin, check_version, given, refer, required
from services.domain.control.answer import ItemAnswer
from services.domain.control.quotas import count_identifiers, quotas
from services.domain.control.schedule import takes_effect_ms
from services.domain.control.turn import Turn

_POSITIONS_NAMED_MAX: Final = 10
_SAMPLE_MAX: Final = 10
_SAMPLE_CHARS_MAX: Final = 64

Operation = Literal["add", "remove", "replace", "clear"]


class Canonicals(NamedTuple):
    """The different canonical identifiers by partition, and what became of the rest."""

    by_partition: dict[int, list[str]]
    distinct: int
    invalid: list[int]
    sample_invalid: list[str]


def members_changed(turn: Turn, operation: Operation, item: MembersClear, origin: Origin) -> ItemAnswer:
    """Durably accepted when the reply is: `usher.imports.v1` says when it was applied."""
    if given(item.operation, operation).lower() != operation:
        fail(codes.FIELD_INVALID, f"operation {quoted(str(item.operation))}: the command's type says {operation}")
    audience, read = _audience(turn, item)
    sent: Sequence[str] = ()
    if isinstance(item, MembersItem):
        sent = required(item.identifiers, "identifiers")
        if not sent:
            fail(codes.FIELD_REQUIRED, "identifiers is empty")
    found = canonicals(read, sent, turn.config.membership_partitions)
    if sent:
        refuse_invalid(found)
    refuse_large(found, turn.config.patch_bytes_max)
    count_identifiers(turn, len(sent))
    step = turn.next_step()
    import_id = origin.make_id("imp")
    allowed = quotas(turn).identities_on_partition(turn.config.membership_partitions)
    everywhere = operation in ("replace", "clear")
    partitions = list(range(turn.config.membership_partitions)) if everywhere else sorted(found.by_partition)
    for partition in partitions:
        patch = PatchStep(
            space_id=turn.space_id,
            step=step,
            at_ms=turn.at_ms,
            import_id=import_id,
            audience_id=audience.audience_id,
            operation=operation,
            identifiers=found.by_partition.get(partition, []),
            identities_max=allowed if operation in ("add", "replace") else None,
        )
        turn.effects.step(patch, (partition,))
    if operation == "replace":
        turn.state.note_base(day_start_ms(day_of(turn.at_ms)))
    record = _record(turn, operation, origin, audience, _counts(sent, found))
    turn.effects.import_record(record)
    applying = Applying(waiting=partitions, audiences=1)
    turn.state.imports.put(import_id, InFlight(space_id=turn.space_id, id=import_id, record=record, applying=applying))
    warnings: tuple[tuple[Code, str], ...] = ()
    if found.invalid:
        warnings = ((codes.IDENTIFIER_INVALID, invalid_text(found.invalid)),)
    return ItemAnswer(_data(audience, record, found), warnings, effect_ms=takes_effect_ms(audience, turn.at_ms))


def _data(audience: Audience, record: Import, found: Canonicals) -> dict[str, object]:
    """Invalid identifiers go back to whoever sent them, and nowhere else."""
    return {
        "audience_id": audience.audience_id,
        "version": audience.version,
        "import_id": record.import_id,
        "operation": record.mode,
        "request_date": record.announced_at,
        "identifier_type": audience.id_type,
        "valid": record.counts.valid,
        "invalid": record.counts.rejected,
        "sample_invalid": found.sample_invalid,
        "counts": msgspec.to_builtins(record.counts),
    }


def _audience(turn: Turn, item: MembersClear) -> tuple[Audience, Callable[[str], str | None]]:
    """The list, and how its canonical identifiers are had of what was sent; raises `ItemFailed`."""
    audiences = turn.state.catalogue.audiences
    audience = refer(audiences, {"audience": item.audience, "audience_id": item.audience_id})
    check_version(item, audience)
    if audience.kind != "list":
        fail(codes.AUDIENCE_NOT_LIST, f"audience {audience.audience_id} is {audience.kind}")
    if audience.lifecycle_state == "inactive":
        fail(codes.LIFECYCLE_REFUSED, f"audience {audience.audience_id} is inactive")
    sent_type = given(item.id_type, audience.id_type)
    if sent_type in RAW_ID_TYPES and sent_type == RAW_OF.get(audience.id_type):
        space = turn.state.catalogue.space
        if space is None or not space.policies.raw_identifiers:
            fail(codes.RAW_IDENTIFIERS_REFUSED, f"id_type {sent_type}: send its hash")
        return audience, partial(hashed, audience.id_type)
    if sent_type not in RAW_ID_TYPES:
        checked_id_type(sent_type)
    if sent_type != audience.id_type:
        fail(codes.ID_TYPE_MISMATCH, f"audience {audience.audience_id} has id type {audience.id_type}")
    return audience, partial(canonical, audience.id_type)


def canonicals(read: Callable[[str], str | None], sent: Sequence[str], partitions: int) -> Canonicals:
    """Reads what was sent; `read` gives None for what is no identifier."""
    seen: dict[str, None] = {}
    invalid: list[int] = []
    by_partition: dict[int, list[str]] = {}
    for position, identifier in enumerate(sent):
        value = read(identifier)
        if value is None:
            invalid.append(position)
        elif value not in seen:
            seen[value] = None
            by_partition.setdefault(member_partition(value, partitions), []).append(value)
    sample = [sent[position][:_SAMPLE_CHARS_MAX] for position in invalid[:_SAMPLE_MAX]]
    return Canonicals(by_partition, len(seen), invalid, sample)


def refuse_invalid(found: Canonicals) -> None:
    """Raises `ItemFailed`(identifier-invalid) where nothing that was sent is an identifier."""
    if not found.distinct:
        sample = Invalid(len(found.invalid), found.sample_invalid)
        raise ItemFailed(codes.IDENTIFIER_INVALID, invalid_text(found.invalid), invalid=sample)


def refuse_large(found: Canonicals, bytes_max: int) -> None:
    """Raises `ItemFailed`(command-too-large) where a partition's identifiers fit no record of a step."""
    if any(len(codec.encode(part)) > bytes_max for part in found.by_partition.values()):
        fail(codes.COMMAND_TOO_LARGE, f"the identifiers of one partition exceed {bytes_max} bytes")


def _counts(sent: Sequence[str], found: Canonicals) -> ImportCounts:
    valid = len(sent) - len(found.invalid)
    return ImportCounts(rows=len(sent), valid=valid, rejected=len(found.invalid), duplicate=valid - found.distinct)


def invalid_text(positions: list[int]) -> str:
    """Never the identifiers themselves."""
    named = ", ".join(map(str, positions[:_POSITIONS_NAMED_MAX]))
    more = ", …" if len(positions) > _POSITIONS_NAMED_MAX else ""
    return f"{len(positions)} invalid, at {named}{more}"


def _record(turn: Turn, operation: Operation, origin: Origin, audience: Audience, counts: ImportCounts) -> Import:
    return Import(
        space_id=turn.space_id,
        import_id=origin.make_id("imp"),
        command_id=origin.command_id,
        audience_id=audience.audience_id,
        day=day_of(turn.at_ms),
        mode=operation,
        state="staged",
        counts=counts,
        rejected_by_code={codes.IDENTIFIER_INVALID.code: counts.rejected} if counts.rejected else {},
        step=turn.state.counters.step,
        announced_at=turn.at,
        updated_at=turn.at,
    )

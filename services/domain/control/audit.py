"""What a command has changed, for the topic of audit records: who, what, when, before and after."""

from typing import Any, Final

import msgspec

from contracts.messages.published import AuditRecord
from services.domain.control.access import Sender
from services.domain.control.answer import ItemAnswer
from services.domain.control.command import Command
from services.domain.control.turn import Turn

_SAID: Final = frozenset({"audience_id", "import_id", "snapshot_id", "counts", "time"})  # never identifiers


def audit(turn: Turn, command: Command, sender: Sender, number: int, done: ItemAnswer) -> None:
    """Writes a record for each entity that the item changed, or one for what it did otherwise."""
    kind = command.type.partition(".")[0]
    changed = [one for one in turn.state.catalogue.noticed() if one[2] != one[3]]
    record = AuditRecord(
        space_id=turn.space_id,
        principal=sender.name,
        command_type=command.type,
        command_source=command.source,
        command_id=command.id,
        item=number,
        kind=kind,
        id=None,
        trace_id=command.trace_id,
        at=turn.at,
    )
    for entity_kind, id_, before, after in changed:
        forms: dict[str, Any] = {"before": before, "after": after}  # encoded as they are
        turn.effects.audit(msgspec.structs.replace(record, kind=entity_kind, id=id_, **forms))
    if not changed:
        said = {name: value for name, value in done.data.items() if name in _SAID}
        about = said.get("audience_id") or said.get("import_id")
        turn.effects.audit(msgspec.structs.replace(record, id=about, after=said))

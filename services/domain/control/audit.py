"""What a command has changed, for the topic of audit records: who, what, when, before and after."""

from typing import Any, Final

from msgspec import Raw

from contracts.ids import made_id
from contracts.messages.published import AuditRecord
from services.domain.control.access import Sender
from services.domain.control.answer import ItemAnswer, entity_data
from services.domain.control.command import Command
from services.domain.control.turn import Turn

_SAID: Final = frozenset(  # never identifiers
    {"audience_id", "destination_id", "import_id", "snapshot_id", "counts", "time"}
)


class Trail:
    """Of one command, whose items it is told as they take effect."""

    def __init__(self, turn: Turn, command: Command, sender: Sender) -> None:
        self._turn = turn
        self._command = command
        self._principal = sender.name
        self._kind = command.type.partition(".")[0]
        self._id = made_id("aud", turn.space_id, sender.name, command.source, command.id)

    def item(self, number: int, done: ItemAnswer) -> None:
        """Writes a record for each entity that the item has changed, or one for what it did otherwise."""
        catalogue = self._turn.state.catalogue
        has_changed = False
        for kind, id_, before, after in catalogue.noticed():
            if before != after:
                has_changed = True
                form = None if after is None else Raw(catalogue.forms.of(after))
                self._write(number, kind, id_, before, form)
        if not has_changed:
            data = done.data if done.entity is None else entity_data(done.entity) | done.data
            said = {name: value for name, value in data.items() if name in _SAID}
            about = said.get("audience_id") or said.get("import_id") or said.get("destination_id")
            self._write(number, self._kind, about, None, said)

    def _write(self, number: int, kind: str, id_: Any, before: Any, after: Any) -> None:
        """`before` and `after` are encoded as they are."""
        command = self._command
        record = AuditRecord(
            space_id=command.space_id,
            principal=self._principal,
            command_type=command.type,
            command_source=command.source,
            command_id=command.id,
            item=number,
            kind=kind,
            id=id_,
            before=before,
            after=after,
            trace_id=command.trace_id,
            at=self._turn.at,
        )
        self._turn.effects.audit(record, f"{self._id}.{number}.{kind}.{id_}")

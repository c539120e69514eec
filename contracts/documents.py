"""The documents made from message types and topic pages: JSON Schemas, the AsyncAPI page over them, pages of commands.

`python -m contracts.documents` writes `schemas/*.v1.json`, `asyncapi.yaml` and `commands/*.md`; they are committed, and
a test fails where they are out of date. With `release` it also keeps what users touch in `released/`: later schemas are
held to those. Nothing of usher reads any of it: it is for those who write and read its topics.
"""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
import yaml
from msgspec import Meta

from contracts.asyncapi import asyncapi
from contracts.catalog import topic_pages
from contracts.command_pages import page as command_page
from contracts.messages.commands import ITEM_TYPES
from contracts.messages.control_state import ControlState
from contracts.messages.delivery import Delivery, Outcome, Receipt, RouterState, Verification
from contracts.messages.entities import CatalogueEntity
from contracts.messages.envelope import Command, DeadLetterHeaders, RowsHeaders, StreamRowsHeaders
from contracts.messages.intake import IntakeEvent, ReadRequest
from contracts.messages.published import (
    ActivationDifference,
    ActivationMarker,
    ActivationStatus,
    AuditRecord,
    Change,
    Import,
    Reply,
    Size,
    Snapshot,
)
from contracts.messages.results import Result
from contracts.messages.steps import Seal, Step
from contracts.messages.streams import StreamEvent

FOLDER: Final = Path(__file__).parent

Schema = dict[str, Any]

_Notification = Annotated[
    dict[str, object] | list[dict[str, object]],
    Meta(
        title="ObjectNotification",
        description="An object-created notification as its store sends it, in any dialect of contracts.object_events."
        " A record of another form is refused alone.",
    ),
]

# By the name that topic pages use. A union is told apart by its tag.
MESSAGES: Final[dict[str, object]] = {
    "activation_difference": ActivationDifference,
    "activation_marker": ActivationMarker,
    "activation_status": ActivationStatus,
    "audit_record": AuditRecord,
    "change": Change,
    "command": Command,
    "control_state": ControlState,
    "dead_letter": DeadLetterHeaders,
    "delivery": Delivery,
    "entity": CatalogueEntity,
    "import": Import,
    "intake_event": IntakeEvent,
    "object_notification": _Notification,
    "outcome": Outcome,
    "read_request": ReadRequest,
    "receipt": Receipt,
    "reply": Reply,
    "result": Result,
    "router_state": RouterState,
    "rows": RowsHeaders,
    "seal": Seal,
    "size": Size,
    "snapshot": Snapshot,
    "step": Step,
    "stream_event": StreamEvent,
    "stream_rows": StreamRowsHeaders,
    "verification": Verification,
}

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"
_ANYTHING: Final = {"$comment": "anything"}  # msgspec takes no empty schema for `object`


def schema_of(message: str) -> Schema:
    """The JSON Schema of a message. Objects are open: readers ignore fields that they don't know."""
    (top,), definitions = _schemas([MESSAGES[message]])
    if message == "command":
        top, definitions = _with_items(top, definitions)
    if "$ref" in top:
        top = definitions.pop(top["$ref"].rsplit("/", 1)[-1])
    named = {"$schema": _DIALECT, "$id": f"urn:usher:{message}.v1", "title": message} | top
    return named | {"$defs": dict(sorted(definitions.items()))} if definitions else named


def documents() -> dict[Path, str]:
    """The text of every made document, by its path within `contracts`."""
    schemas = {Path("schemas") / f"{message}.v1.json": _json(schema_of(message)) for message in MESSAGES}
    page = yaml.safe_dump(asyncapi(topic_pages()), sort_keys=False, allow_unicode=True, width=120)
    made = schemas | {Path("asyncapi.yaml"): f"# Made by `python -m contracts.documents`.\n{page}"}
    return made | {Path("commands") / f"{kind}.md": text for kind, text in _command_pages().items()}


def _command_pages() -> dict[str, str]:
    """By kind: `audiences`, `members`, …"""
    tops, definitions = _schemas(list(ITEM_TYPES.values()))
    items = {
        command_type: definitions[top["$ref"].rsplit("/", 1)[-1]]
        for command_type, top in zip(ITEM_TYPES, tops, strict=True)
    }
    kinds = dict.fromkeys(command_type.partition(".")[0] for command_type in items)
    return {
        kind: command_page(kind, {one: form for one, form in items.items() if one.startswith(f"{kind}.")}, definitions)
        for kind in kinds
    }


def _schemas(types: list[object]) -> tuple[list[Schema], dict[str, Schema]]:
    schemas, definitions = msgspec.json.schema_components(
        types, schema_hook=lambda _: _ANYTHING, ref_template="#/$defs/{name}"
    )
    return [_plain(one) for one in schemas], {name: _plain(one) for name, one in definitions.items()}


def _with_items(top: Schema, definitions: dict[str, Schema]) -> tuple[Schema, dict[str, Schema]]:
    """A command's schema with the form of the items of each known type; a type that is not known says nothing."""
    items, of_items = _schemas(list(ITEM_TYPES.values()))
    command = definitions[top["$ref"].rsplit("/", 1)[-1]]
    forms = [
        {
            "if": {"properties": {"type": {"const": kind}}},
            "then": {"properties": {"data": {"properties": {"items": {"items": form}}}}},
        }
        for kind, form in zip(ITEM_TYPES, items, strict=True)
    ]
    return command | {"allOf": forms}, {
        name: one for name, one in (definitions | of_items).items() if one is not command
    }


def _plain(schema: Any) -> Any:
    """Without what JSON Schema does not know (`discriminator`), docstrings as running text, `| None` in one line."""
    match schema:
        case {"$comment": "anything", **rest}:
            return _plain(rest) if rest else {}
        case {"anyOf": [{"type": str(kind), **form}, {"type": "null"}], **rest}:
            return _plain({"type": [kind, "null"], **form, **rest})
        case dict():
            return {
                name: " ".join(inner.split()) if name == "description" and isinstance(inner, str) else _plain(inner)
                for name, inner in schema.items()
                if name != "discriminator"
            }
        case list():
            return [_plain(one) for one in schema]
        case _:
            return schema


def _json(document: Schema) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _write() -> None:
    made = documents()
    for path, text in made.items():
        (FOLDER / path).parent.mkdir(exist_ok=True)
        (FOLDER / path).write_text(text)
    for folder in ("schemas", "commands"):
        for path in (FOLDER / folder).iterdir():
            if path.relative_to(FOLDER) not in made:
                path.unlink()


def _release() -> None:
    """What users touch is held to these schemas from now on (`tests/contract/test_compatibility.py`)."""
    pages = [page for page in topic_pages().values() if page.public]
    for message in sorted({message for page in pages for message in (page.message, *page.also)}):
        (FOLDER / "released" / f"{message}.v1.json").write_text(_json(schema_of(message)))


if __name__ == "__main__":
    if sys.argv[1:] == ["release"]:
        _release()
    _write()

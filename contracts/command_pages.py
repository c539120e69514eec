"""The pages of commands that a person reads, made from the item types and from `commands.toml`.

One page for each kind, `commands/<kind>.md`; `python -m contracts.documents` writes them. The file has every
command but searches and most of `.get`, which are the same for all kinds.
"""

import json
from pathlib import Path
from typing import Any, Final

import msgspec

from contracts import codes
from contracts.messages.commands import IDENTIFIERS_MAX, ITEM_TYPES, ITEMS_MAX
from contracts.messages.fields import Item, Versioned

Schema = dict[str, Any]

_MADE: Final = "Made by `python -m contracts.documents` from the types in `contracts/messages`."
_EVERY: Final = (
    f"A command takes 1 to {ITEMS_MAX:,} items, approved one by one in order; `validate_only` answers without effect."
    " What a whole command may be rejected with stands in `contracts/codes.py`."
)


class Said(msgspec.Struct, frozen=True):
    """What a page says of a command beside its fields: what it does, one item as JSON, and why an item may fail."""

    purpose: str
    example: str
    errors: list[str] = []


COMMANDS: Final = msgspec.toml.decode((Path(__file__).parent / "commands.toml").read_bytes(), type=dict[str, Said])


def said_of(command_type: str) -> Said:
    """What a page says of a command of any known type."""
    kind = command_type.partition(".")[0].removesuffix("s")
    match command_type.rpartition(".")[2]:
        case _ if command_type in COMMANDS:
            return COMMANDS[command_type]
        case "search":
            purpose = "A page of what matches: filters AND-ed, values of one filter OR-ed. It tells `total`, `offset`,"
            return Said(f"{purpose} `limit` and `results`. At most 20 items a command.", '{"limit": 50}')
        case "get":
            return Said("The present form, what it uses and what uses it.", f'{{"{kind}": "a-{kind}"}}')
        case _:
            raise KeyError(f"{command_type} is not in commands.toml")


def errors_of(command_type: str) -> list[str]:
    """The codes of items of that type, those that follow from its declaration among them."""
    item, is_new = ITEM_TYPES[command_type], command_type.endswith(".create")
    found = {codes.FIELD_INVALID.code, *said_of(command_type).errors}
    if issubclass(item, Versioned):
        found.add(codes.VERSION_CONFLICT.code)
        if not is_new and not command_type.startswith(("spaces.", "clock.")):
            found |= {codes.NOT_FOUND.code, codes.FIELD_REQUIRED.code, codes.REFERENCES_DIFFER.code}
    if item.entity is not None and not is_new:
        found.add(codes.FIELD_IMMUTABLE.code)
    return sorted(found)


def page(kind: str, schemas: dict[str, Schema], definitions: dict[str, Schema]) -> str:
    """The page of the commands of a kind; `schemas` by command type."""
    lines = [
        f"# {kind}",
        "",
        f"{_MADE} {_EVERY}",
    ]
    for command_type, schema in schemas.items():
        lines += ["", f"## {command_type}", "", *_section(command_type, schema, definitions)]
    return "\n".join(lines) + "\n"


def _section(command_type: str, schema: Schema, definitions: dict[str, Schema]) -> list[str]:
    said, item = said_of(command_type), ITEM_TYPES[command_type]
    lines = [said.purpose]
    if command_type.startswith("members.") and "identifiers" in item.__struct_fields__:
        lines[0] += f" At most {IDENTIFIERS_MAX:,} identifiers in a command."
    lines += ["", "| field | form | |", "|---|---|---|"]
    for name, field in schema["properties"].items():
        lines.append(f"| `{name}` | {_form(field, definitions)} | {_remarks(field)} |")
    if (read_only := _read_only(item)) and command_type.endswith((".create", ".update")):
        lines += ["", f"Read-only: {', '.join(f'`{name}`' for name in read_only)}."]
    lines += ["", "An item fails with: " + ", ".join(f"`{code}`" for code in errors_of(command_type)) + "."]
    event = {
        "specversion": "1.0", "id": "c-1", "source": "/crm", "type": command_type, "spaceid": "acme",
        "data": {"items": [json.loads(said.example)]},
    }  # fmt: skip
    return [*lines, "", "```json", json.dumps(event, ensure_ascii=False), "```"]


def _read_only(item: type[Item]) -> list[str]:
    if item.entity is None:
        return []
    return [name for name in item.entity.__struct_encode_fields__ if name not in item.__struct_encode_fields__]


def _remarks(field: Schema) -> str:
    final = "final" if _has(field, "x-immutable") else ""
    is_nullable = {"type": "null"} in field.get("anyOf", []) or "null" in field.get("type", ())
    null = "null clears it" if is_nullable and not _has(field, "readOnly") else ""
    return "; ".join(one for one in (final, null, _has(field, "description") or "") if one)


def _has(field: Schema, name: str) -> Any:
    found = (one[name] for one in (field, *field.get("anyOf", [])) if name in one)
    return next(found, None)


def _form(field: Schema, definitions: dict[str, Schema]) -> str:
    match field:
        case {"$ref": str(reference)}:
            parts = definitions[reference.rsplit("/", 1)[-1]].get("properties", {})
            return "{" + ", ".join(f"`{name}`: {_form(part, definitions)}" for name, part in parts.items()) + "}"
        case {"anyOf": list(choices)}:
            forms = dict.fromkeys(_form(one, definitions) for one in choices if one != {"type": "null"})
            return " or ".join(forms)
        case {"type": [kind, "null"]}:
            return _form(field | {"type": kind}, definitions)
        case {"type": "array"}:
            return f"list of {_form(field.get('items', {}), definitions)}{_range(field, 'minItems', 'maxItems')}"
        case {"type": "object"}:
            return f"object{_range(field, 'minProperties', 'maxProperties')}"
        case {"type": "string"}:
            return f"text{_range(field, 'minLength', 'maxLength')}"
        case {"type": "integer" | "number" as kind}:
            return f"{kind}{_range(field, 'minimum', 'maximum')}"
        case {"type": str(kind)}:
            return kind
        case _:
            return "JSON"


def _range(field: Schema, low: str, high: str) -> str:
    match field.get(low), field.get(high):
        case None, None:
            return ""
        case None, most:
            return f" ≤ {most:,}"
        case least, None:
            return f" ≥ {least:,}"
        case least, most:
            return f", {least:,} to {most:,}"

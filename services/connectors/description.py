"""A declaration in words: for the reply to `destinations.supported`, `usher destinations list`, and the READMEs.

`python -m services.connectors.description` writes the tables into each README, between its two marks.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from services.connectors.declaration import ANY_NAME, Declaration, Replacement, SettingField
from services.connectors.registry import CONNECTORS

BEGIN: Final = "<!-- of the declaration: python -m services.connectors.description -->"
END: Final = "<!-- end -->"
_LEFT_OUT: Final = (None, (), "")
_LISTED: Final = (
    " This is done once, before the first delivery, and the connection's `external_audience_id` says which list it is. "
    "Where there are several of the name, or the destination refuses, members wait (`delivery-list-refused`) until the "
    "connection names one by its id, or another name. Such a connection has one lane (decision 0032)."
)
_WHOLE: Final = (
    "It begins when the members of all partitions are there, and nothing else is sent to the list before it is done: "
    "what changes meanwhile follows, in order. Such a connection has one lane (decisions 0033 and 0046)."
)
_FOLDER: Final = Path(__file__).parent


def described(declaration: Declaration) -> dict[str, object]:
    """The declaration as JSON has it, without what it leaves open; of secrets it has names and titles."""
    return {name: value for name, value in _plain(declaration).items() if value not in _LEFT_OUT}


def tables(declaration: Declaration) -> str:
    """The part of a README that the declaration makes."""
    sections = [
        "## Settings\n\n" + _table(("entry", "type", "default", "what it is"), _settings(declaration)),
        "## Limits\n\n" + _table(("limit", "default", "at most"), _limits(declaration)),
    ]
    if declaration.mapping:
        rows = [(f"`{one.name}`", f"`{json.dumps(one.default)}`", one.title) for one in declaration.mapping]
        sections.append("## Mapping\n\n" + _table(("field", "default", "what it is"), rows))
    if declaration.identifiers:
        rows = [(f"`{one.id_type}`", f"`{one.name}`", one.form) for one in declaration.identifiers]
        sections.append("## Identifiers\n\n" + _table(("id type", "called there", "sent"), rows))
    sections.append(f"## The list\n\n{declaration.lists}{_LISTED if declaration.list_making is not None else ''}")
    sections.append(f"## Removal\n\n{declaration.removal}")
    if declaration.refresh_days is not None:
        sections.append(
            "## Expiry\n\nMembers expire over there. Every activation is `recurring`, with `recurring_days` of at most "
            f"{declaration.refresh_days}, whatever it is saved with: so all are sent again before they expire."
        )
    if declaration.polling is not None:
        asked = declaration.polling
        sections.append(
            "## Status\n\nWhat is taken is asked about: what became of it counts in the activation's `failed` and "
            f"`processing`. First after {asked.every_seconds // 60} minutes, and as often again, for at most "
            f"{asked.hours_max} hours."
        )
    if declaration.matching:
        sections.append(f"## Matches\n\n{declaration.matching}")
    sections.append(f"## Verification\n\n{declaration.verification}")
    if declaration.replacement is not None:
        sections.append(f"## Resyncs that replace\n\n{_replacement(declaration.replacement)}")
    if declaration.met:
        sections.append(f"## Not met live\n\n{declaration.met}")
    return "\n\n".join(sections)


def _replacement(said: Replacement) -> str:
    within = "" if said.minutes_max is None else f" All of it has to be done within {said.minutes_max} minutes."
    return f"With `connection_settings.resync: replace`: {said.how}{within} {_WHOLE}"


def readme(declaration: Declaration) -> Path:
    """Where the connector's README is."""
    return _FOLDER / declaration.slug.replace("-", "_") / "README.md"


def renewed(text: str, declaration: Declaration) -> str:
    """The README's text with the tables as they are now."""
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{tables(declaration)}\n\n{END}{after}"


def _plain(declaration: Declaration) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(declaration)
    for part in ("settings", "secrets", "connection_settings", "identifiers", "mapping"):
        plain[part] = tuple({k: v for k, v in one.items() if v not in _LEFT_OUT} for one in plain[part])
    plain["limits"] = {k: v for k, v in plain["limits"].items() if v is not None}
    return plain


def _settings(declaration: Declaration) -> Iterator[tuple[str, ...]]:
    yield from _fields("settings", declaration.settings)
    for secret in declaration.secrets:
        name = "<any name>" if secret.name == ANY_NAME else secret.name
        need = "required" if secret.required else "none"
        yield (
            f"`secrets.{name}`",
            "reference: `env:USHER_SECRET_NAME` or `file:/etc/usher/secrets/NAME`",
            need,
            secret.title,
        )
    yield from _fields("connection_settings", declaration.connection_settings)


def _fields(part: str, fields: Sequence[SettingField]) -> Iterator[tuple[str, ...]]:
    for one in fields:
        default = "required" if one.required else "none" if one.default is None else f"`{one.default}`"
        yield f"`{part}.{one.name}`", _type(one), default, one.title


def _type(field: SettingField) -> str:
    match field.kind:
        case "url":
            return "http or https URL"
        case "choice":
            return ", ".join(f"`{choice}`" for choice in field.choices)
        case "integer" | "number" if field.minimum is not None and field.maximum is not None:
            return f"{field.kind}, {field.minimum:g} to {field.maximum:g}"
        case "text" if field.pattern is not None:
            return f"text like `{field.pattern}`"
        case kind:
            return kind


def _limits(declaration: Declaration) -> Iterator[tuple[str, ...]]:
    limits = declaration.limits
    rate = "none" if limits.requests_per_second is None else f"{limits.requests_per_second:g}"
    yield "`limits.items_per_request`: members", f"{limits.items_per_request:,}", f"{limits.items_per_request_max:,}"
    yield "`limits.requests_per_second`, all lanes together", rate, ""
    yield "`limits.members_min`: members of an audience before any is sent", f"{limits.members_min:,}", ""
    if limits.bytes_per_request_max is not None:
        yield "bytes of a request's body", f"{limits.bytes_per_request_max:,}", f"{limits.bytes_per_request_max:,}"


def _table(heads: Sequence[str], rows: Iterable[tuple[str, ...]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    return "\n".join([line(heads), "|" + "---|" * len(heads), *map(line, rows)])


def _main() -> None:
    for connector in CONNECTORS.values():
        path = readme(connector.declaration)
        path.write_text(renewed(path.read_text(), connector.declaration))


if __name__ == "__main__":
    _main()

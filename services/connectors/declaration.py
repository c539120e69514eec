"""What a connector says about itself, as data: what may be set, what it takes, and how much of it at once.

Control checks commands by it, the lanes fill in defaults from it, `description` makes documentation of it. It holds no
values of anybody's and does nothing. What is wrong with entries is found here too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import urlsplit

from contracts import codes
from contracts.codes import Code

ANY_NAME: Final = "*"
_URL_CHARS_MAX: Final = 2048
_MEMBERS_MIN_MAX: Final = 1_000_000_000
_URL_FORM: Final = re.compile(r"[\x21-\x7e]+")
_SECRET_REFERENCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]*|file:/[^\x00]+")


@dataclass(frozen=True, slots=True)
class SettingField:
    """One entry of `settings` or `connection_settings`. `minimum` and `maximum` bound numbers, both inclusive."""

    name: str
    kind: Literal["url", "text", "choice", "integer", "number", "boolean"]
    title: str
    required: bool = False
    default: object = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    pattern: str | None = None  # of a text: the whole of it

    def __post_init__(self) -> None:
        assert bool(self.choices) == (self.kind == "choice"), self.name


LIST_NAME: Final = r"(?!\s)[^\x00-\x1f\x7f\"\\]{1,255}(?<!\s)"
"""The pattern of a list's name: what every platform takes and gives back as it is."""

REPLACE: Final = "replace"
RESYNC: Final = SettingField(
    "resync",
    "choice",
    "What a resync does to the list: it adds all members, or they replace whatever it holds",
    default="add",
    choices=("add", REPLACE),
)
"""A connection setting where a list can be emptied or replaced; it stays while the connection has activations."""


@dataclass(frozen=True, slots=True)
class SecretField:
    """One entry of a destination's `secrets`, a reference: `env:NAME` or `file:/path`. `ANY_NAME`: under any name.

    Which names and paths a space may refer to is the operator's to say: `services.runtime.secret_references`.
    """

    name: str
    title: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may carry and how often one may come: what holds where a destination's `limits` say nothing.

    An item of the limits is one member. `requests_per_second` None is no limit. A request whose body would be larger
    than `bytes_per_request_max` is made into several. Of an audience with fewer than `members_min` nothing is sent.
    """

    items_per_request: int
    items_per_request_max: int
    requests_per_second: float | None = None
    bytes_per_request_max: int | None = None
    members_min: int = 0


@dataclass(frozen=True, slots=True)
class Identifier:
    """An id type that the destination takes, its name there, and the form in which it is sent."""

    id_type: str
    name: str
    form: Literal["as it is", "hex", "base64", "upper case"] = "as it is"


@dataclass(frozen=True, slots=True)
class MappingField:
    """One entry of an activation's `destination_mapping.settings`: JSON that may hold directives."""

    name: str
    title: str
    default: object = None


@dataclass(frozen=True, slots=True)
class Polling:
    """How a destination that says later what became of a request is asked: from `every_seconds` on, that often.

    After `hours_max` it is not asked again, and what it took counts as done.
    """

    every_seconds: int
    hours_max: int


@dataclass(frozen=True, slots=True)
class ListMaking:
    """Which connection settings say what list is meant: its id by `id_setting`, or all of `made_by`, its name first.

    Of the latter it is found, and made where there is none.
    """

    id_setting: str
    made_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Replacement:
    """How a resync replaces the whole list there: a sentence; and how long its parts may take from first to last."""

    how: str
    minutes_max: int | None = None


@dataclass(frozen=True, slots=True)
class Declaration:
    """All that usher and its users need to know about a connector before they use it."""

    slug: str
    title: str
    settings: tuple[SettingField, ...]
    secrets: tuple[SecretField, ...]
    limits: Limits
    removal: str
    """When, and how, a member that exits is gone there: a sentence."""
    lists: str
    """What it is at the destination that holds the members, and who makes it: a sentence."""
    verification: str
    """What `destinations.verify` does there, and what that shows: a sentence."""
    connection_settings: tuple[SettingField, ...] = ()
    list_making: ListMaking | None = None
    """None: nothing is to be made, or connections name what exists."""
    replacement: Replacement | None = None
    """None: a resync adds, or empties the list first, as `connection_settings.resync` says."""
    identifiers: tuple[Identifier, ...] = ()
    """Empty: any id type, as it is."""
    mapping: tuple[MappingField, ...] = ()
    """What the action `send` lets an activation map. Empty: nothing, what is sent has one form."""
    refresh_days: int | None = None
    """Members expire over there: an activation sends all of them again at least this often. None: they stay."""
    polling: Polling | None = None
    """None: an answer says at once what became of its request."""
    matching: str = ""
    """What it says of how many members it knows, and where that is shown: a sentence. Empty: nothing."""
    met: str = ""
    """Where it has not met the live service: what it was tried on instead."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with one entry; `field` is its path (`settings.url`). `unknown-field` alone is no hindrance."""

    field: str
    code: Code
    detail: str


def mistakes(
    declaration: Declaration,
    *,
    settings: Mapping[str, object],
    secrets: Mapping[str, str],
    limits: Mapping[str, object],
) -> list[Mistake]:
    """Everything that is wrong with a destination's entries. No detail repeats a value: it may be a secret."""
    found = [*_setting_mistakes("settings", declaration.settings, settings), *_secret_mistakes(declaration, secrets)]
    return [*found, *_limit_mistakes(declaration, limits)]


def connection_mistakes(declaration: Declaration, settings: Mapping[str, object]) -> list[Mistake]:
    """Everything that is wrong with a connection's settings."""
    found = list(_setting_mistakes("connection_settings", declaration.connection_settings, settings))
    making = declaration.list_making
    if making is not None and settings.get(making.id_setting) is None:
        missing = [name for name in making.made_by if settings.get(name) is None]
        detail = f"the list is named by {making.id_setting}, or by {' and '.join(making.made_by)}"
        found += [Mistake(f"connection_settings.{name}", codes.FIELD_REQUIRED, detail) for name in missing]
    return found


def list_naming(declaration: Declaration, settings: Mapping[str, object]) -> tuple[object, ...] | None:
    """By what a connection's list is found and made, as far as it is said; None where it is named by its id alone."""
    making = declaration.list_making
    if making is None or settings.get(making.made_by[0]) is None:
        return None
    return tuple(settings.get(name) for name in making.made_by)


def filled(fields: Sequence[SettingField], settings: Mapping[str, object]) -> dict[str, object]:
    """The settings with the defaults of those that are absent; what isn't declared is left out."""
    return {field.name: settings.get(field.name, field.default) for field in fields}


def limited(declaration: Declaration, limits: Mapping[str, object]) -> Limits:
    """The limits that hold for a destination, its own entries being free of mistakes."""
    items, rate = limits.get("items_per_request"), limits.get("requests_per_second")
    least = limits.get("members_min")
    return Limits(
        items_per_request=items if isinstance(items, int) else declaration.limits.items_per_request,
        items_per_request_max=declaration.limits.items_per_request_max,
        requests_per_second=float(rate) if isinstance(rate, int | float) else declaration.limits.requests_per_second,
        bytes_per_request_max=declaration.limits.bytes_per_request_max,
        members_min=least if isinstance(least, int) else declaration.limits.members_min,
    )


def _setting_mistakes(part: str, fields: Sequence[SettingField], settings: Mapping[str, object]) -> Iterator[Mistake]:
    yield from _unknown(part, settings, {field.name for field in fields})
    for field in fields:
        value = settings.get(field.name)
        if value is not None:
            detail = _wrong(field, value)
            if detail:
                yield Mistake(f"{part}.{field.name}", codes.FIELD_INVALID, detail)
        elif field.required or field.name in settings:  # null is no way to ask for the default
            yield Mistake(f"{part}.{field.name}", codes.FIELD_REQUIRED, field.title)


def _secret_mistakes(declaration: Declaration, secrets: Mapping[str, str]) -> Iterator[Mistake]:
    names = {field.name for field in declaration.secrets}
    if ANY_NAME not in names:
        yield from _unknown("secrets", secrets, names)
    for field in declaration.secrets:
        if field.required and not (secrets if field.name == ANY_NAME else field.name in secrets):
            yield Mistake(f"secrets.{field.name}", codes.FIELD_REQUIRED, field.title)
    for name, reference in secrets.items():
        if not _SECRET_REFERENCE.fullmatch(reference):
            detail = "a secret is given by reference: env:NAME or file:/path"
            yield Mistake(f"secrets.{name}", codes.FIELD_INVALID, detail)


def _limit_mistakes(declaration: Declaration, limits: Mapping[str, object]) -> Iterator[Mistake]:
    yield from _unknown("limits", limits, {"items_per_request", "requests_per_second", "members_min"})
    most = declaration.limits.items_per_request_max
    items = limits.get("items_per_request", 1)
    if isinstance(items, bool) or not isinstance(items, int) or not 1 <= items <= most:
        yield Mistake("limits.items_per_request", codes.FIELD_INVALID, f"a whole number from 1 to {most}")
    rate = limits.get("requests_per_second", 1)
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0.001 <= rate <= 1_000_000:
        yield Mistake("limits.requests_per_second", codes.FIELD_INVALID, "a number from 0.001 to 1000000")
    least = limits.get("members_min", 0)
    if isinstance(least, bool) or not isinstance(least, int) or not 0 <= least <= _MEMBERS_MIN_MAX:
        yield Mistake("limits.members_min", codes.FIELD_INVALID, f"a whole number from 0 to {_MEMBERS_MIN_MAX}")


def _unknown(part: str, given: Mapping[str, object], known: set[str]) -> Iterator[Mistake]:
    for name in given:
        if name not in known:
            yield Mistake(f"{part}.{name}", codes.UNKNOWN_FIELD, f"known are {', '.join(sorted(known)) or 'none'}")


def _wrong(field: SettingField, value: object) -> str | None:
    """What is wrong with a value, in words that don't repeat it."""
    match field.kind:
        case "url":
            return None if isinstance(value, str) and _is_url(value) else "an http or https URL without a user in it"
        case "text":
            if not isinstance(value, str) or not value:
                return "a text that isn't empty"
            return (
                None if field.pattern is None or re.fullmatch(field.pattern, value) else f"of the form {field.pattern}"
            )
        case "choice":
            return None if value in field.choices else f"one of {', '.join(field.choices)}"
        case "boolean":
            return None if isinstance(value, bool) else "true or false"
        case "integer" | "number":
            numeric = isinstance(value, int if field.kind == "integer" else int | float) and not isinstance(value, bool)
            low = float("-inf") if field.minimum is None else field.minimum
            high = float("inf") if field.maximum is None else field.maximum
            if isinstance(value, int | float) and numeric and low <= value <= high:
                return None
            return f"{'a whole' if field.kind == 'integer' else 'a'} number from {low:g} to {high:g}"


def _is_url(text: str) -> bool:
    if len(text) > _URL_CHARS_MAX or not _URL_FORM.fullmatch(text):
        return False
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc and port != 0

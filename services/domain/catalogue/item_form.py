"""From the JSON of an item to its form, and what of the JSON had no effect.

What a form then does to the catalogue is judged by `services.domain.catalogue.item` and the modules of each kind.
"""

from collections.abc import Iterator
from functools import cache
from typing import Final, TypeVar

import msgspec

from contracts import codec, codes
from contracts.codes import Code
from contracts.messages.fields import Item
from contracts.messages.patterns import IN_WORDS
from contracts.messages.queries import ImportQuery, Query
from services.domain.catalogue.failed import fail, quoted

I = TypeVar("I", bound=Item)  # noqa: E741 - an item

_UNKNOWN_FIELDS_NAMED_MAX: Final = 10


def decode_item(raw: object, kind: type[I]) -> I:
    """The item in its form; raises `ItemFailed`(field-invalid) with the field's path."""
    if not isinstance(raw, dict):
        fail(codes.FIELD_INVALID, "an item is a JSON object")
    codec.learn(kind)
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        fail(codes.FIELD_INVALID, _in_words(str(error))[:300])


def _in_words(message: str) -> str:
    for pattern, words in IN_WORDS.items():
        message = message.replace(f"matching regex {pattern!r}", words)
    return message


def ignored_fields(raw: object, item: Item) -> Iterator[tuple[Code, str]]:
    """Warnings about fields that had no effect: those that only usher sets, and those that it does not know.

    A query that names a filter which does not exist has no match (`services.domain.control.approval` sees to it).
    """
    if isinstance(raw, dict) and raw.keys() <= _flat_fields(type(item)):
        return
    paths = list(_unknown(raw, item, ""))
    if not paths:
        return
    read_only = set(item.entity.__struct_encode_fields__) if item.entity is not None else set()
    for code, ignored in (
        (codes.FIELD_READ_ONLY, [path for path in paths if path in read_only]),
        (codes.UNKNOWN_FIELD, [path for path in paths if path not in read_only]),
    ):
        if ignored:
            more = len(ignored) - _UNKNOWN_FIELDS_NAMED_MAX
            named = ", ".join(quoted(path) for path in ignored[:_UNKNOWN_FIELDS_NAMED_MAX])
            what = "no such filter, so nothing matches" if isinstance(item, Query | ImportQuery) else "ignored"
            yield code, f"{what}: {named}" + (f" and {more} more" if more > 0 else "")


@cache
def _flat_fields(kind: type[Item]) -> frozenset[str]:
    """The fields whose values have no fields of their own that might be unknown."""
    info = msgspec.inspect.type_info(kind)
    assert isinstance(info, msgspec.inspect.StructType)
    return frozenset(field.encode_name for field in info.fields if not _has_fields(field.type))


def _has_fields(kind: msgspec.inspect.Type) -> bool:
    match kind:
        case msgspec.inspect.StructType():
            return True
        case msgspec.inspect.UnionType():
            return any(map(_has_fields, kind.types))
        case msgspec.inspect.Metadata():
            return _has_fields(kind.type)
        case msgspec.inspect.ListType():
            return _has_fields(kind.item_type)
        case _:
            return False


def _unknown(raw: object, value: object, path: str) -> Iterator[str]:
    if isinstance(raw, list) and isinstance(value, list):
        for position, (raw_part, part) in enumerate(zip(raw, value, strict=True)):
            if isinstance(part, msgspec.Struct):
                yield from _unknown(raw_part, part, f"{path}[{position}]")
    elif isinstance(raw, dict) and isinstance(value, msgspec.Struct):
        names = dict(zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True))
        for name, part in raw.items():
            here = f"{path}.{name}" if path else name
            if name not in names:
                yield here
            else:
                yield from _unknown(part, getattr(value, names[name]), here)

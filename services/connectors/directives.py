"""The directives of mappings, each checked and made into a function of the event in one place (engage.md §7.2).

Used by `mapping` alone. What engage.md leaves open is as the public mapping kit of action-destinations does it.
`@liquid` is refused: nothing in a lane may run a template whose time and memory nobody bounds.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Final, Protocol

import orjson

Resolve = Callable[[object], object]
"""From an event to a value, or to `ABSENT`."""
Wrong = tuple[str, str]
"""The path of a mistake, and what it is in words."""

ABSENT: Final = object()
OPAQUE: Final = frozenset({"@case", "@replace", "@json"})
"""Those that make something else of a text, so that what an identifier becomes can't be told beforehand."""

_REPLACED_CHARS_MAX: Final = 10
_DECODED_PARTS_MAX: Final = 100  # an identifier may be any text, also one that is deeper than can be written again
_PATH: Final = re.compile(r"(\$\.?)?([^.\[\]]+|\[[0-9]{1,6}\])?(\.[^.\[\]]+|\[[0-9]{1,6}\])*")
_STEP: Final = re.compile(r"[^.\[\]]+")
_PLACE: Final = re.compile(r"\{\{(.*?)\}\}")


class Compiling(Protocol):
    """What a directive needs of the pass over its mapping."""

    def value(self, node: object, path: str) -> Resolve: ...

    def mistake(self, path: str, detail: str) -> Resolve: ...


Directive = Callable[[Compiling, object, str], Resolve]
"""Takes the pass, the directive's argument and its path."""


def constant(value: object) -> Resolve:
    return lambda _: value


def _path(of: Compiling, argument: object, path: str) -> Resolve:
    if not isinstance(argument, str) or not _PATH.fullmatch(argument):
        return of.mistake(path, "a path: names with dots between them, [0] for elements, $. for all")
    return _getter(argument)


def _getter(path: str) -> Resolve:
    steps = _STEP.findall(path.removeprefix("$"))

    def resolve(event: object) -> object:
        found = event
        for step in steps:
            if isinstance(found, dict):
                found = found.get(step, ABSENT)
            elif isinstance(found, list) and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            else:
                return ABSENT
        return found

    return resolve


def _template(of: Compiling, argument: object, path: str) -> Resolve:
    """Texts, numbers and booleans are written; what is absent, null or has parts is not."""
    if not isinstance(argument, str):
        return of.mistake(path, "a text with {{path}} in it")
    pieces = _PLACE.split(argument)
    texts, paths = pieces[::2], [one.strip() for one in pieces[1::2]]
    if any("{{" in text for text in texts) or not all(one and _PATH.fullmatch(one) for one in paths):
        return of.mistake(path, "a text in which each {{ }} holds a path")
    getters = [_getter(one) for one in paths]

    def resolve(event: object) -> object:
        written = [texts[0]]
        for getter, text in zip(getters, texts[1:], strict=True):
            written += [_text(getter(event)) or "", text]
        return "".join(written)

    return resolve


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    return orjson.dumps(value).decode() if isinstance(value, bool | int | float) else None


def _literal(of: Compiling, argument: object, path: str) -> Resolve:  # noqa: ARG001 - any literal will do
    return constant(argument)


def _if(of: Compiling, argument: object, path: str) -> Resolve:
    """`exists`: neither absent nor null; `blank`, in spite of its name, asks that it isn't an empty text either."""
    parts = _parts(of, argument, path, required=(), optional=("exists", "blank", "then", "else"))
    if parts is None:
        return constant(None)
    if ("exists" in parts) == ("blank" in parts) or not parts.keys() & {"then", "else"}:
        return of.mistake(path, "one of exists and blank, and then or else or both")
    asked = parts.get("exists") or parts["blank"]
    missing = (ABSENT, None) if "exists" in parts else (ABSENT, None, "")
    then, otherwise = parts.get("then", constant(ABSENT)), parts.get("else", constant(ABSENT))
    return lambda event: (otherwise if asked(event) in missing else then)(event)


def _array_path(of: Compiling, argument: object, path: str) -> Resolve:
    """The elements at the path, each made into the shape, whose paths start at the element."""
    if not isinstance(argument, list) or not 1 <= len(argument) <= 2:
        return of.mistake(path, "[path] or [path, shape]")
    of_path, place = argument[0], f"{path}[0]"
    root = _path(of, of_path, place) if isinstance(of_path, str) else of.value(of_path, place)
    shape = argument[1] if len(argument) > 1 else {}
    if not isinstance(shape, dict):
        return of.mistake(f"{path}[1]", "an object")
    if not shape:
        return root
    shaped = of.value(shape, f"{path}[1]")

    def resolve(event: object) -> object:
        found = root(event)
        if not isinstance(found, dict | list):
            return found
        elements = [shaped(one) for one in (found if isinstance(found, list) else [found])]
        return [None if one is ABSENT else one for one in elements]

    return resolve


def _case(of: Compiling, argument: object, path: str) -> Resolve:
    operator = _word(of, argument, path, "operator", ("lower", "upper"))
    parts = _parts(of, argument, path, required=("operator", "value"))
    if parts is None or operator is None:
        return constant(None)
    change, value = (str.lower if operator == "lower" else str.upper), parts["value"]

    def resolve(event: object) -> object:
        found = value(event)
        return change(found) if isinstance(found, str) else found

    return resolve


def _replace(of: Compiling, argument: object, path: str) -> Resolve:
    """Plain texts, no expressions; the second pair works on what the first has made."""
    parts = _parts(
        of, argument, path, required=("value", "pattern"),
        optional=("replacement", "ignorecase", "global", "pattern2", "replacement2"),
    )  # fmt: skip
    if parts is None or not isinstance(argument, dict):
        return constant(None)
    for name in ("pattern", "replacement", "pattern2", "replacement2"):
        text = argument.get(name, "")
        if not isinstance(text, str) or len(text) > _REPLACED_CHARS_MAX or (name == "pattern" and not text):
            return of.mistake(f"{path}.{name}", f"a text of at most {_REPLACED_CHARS_MAX} characters")
    for name in ("ignorecase", "global"):
        if not isinstance(argument.get(name, False), bool):
            return of.mistake(f"{path}.{name}", "true or false")
    flags = re.IGNORECASE if argument.get("ignorecase", False) else re.NOFLAG
    pairs = [(argument["pattern"], argument.get("replacement", ""))]
    pairs += [(argument["pattern2"], argument.get("replacement2", ""))] if argument.get("pattern2") else []
    patterns = [(re.compile(re.escape(pattern), flags), new.replace("\\", r"\\")) for pattern, new in pairs]
    count, value = (0 if argument.get("global", True) else 1), parts["value"]

    def resolve(event: object) -> object:
        found = value(event)
        text = _text(found)
        if text is None:
            return found
        for pattern, replacement in patterns:
            text = pattern.sub(replacement, text, count=count)
        return text

    return resolve


def _merge(of: Compiling, argument: object, path: str) -> Resolve:
    """Of a name that several have, the one furthest in the direction counts."""
    direction = _word(of, argument, path, "direction", ("left", "right"))
    parts = _parts(of, argument, path, required=("objects", "direction"))
    if parts is None or direction is None or not isinstance(argument, dict):
        return constant(None)
    if not isinstance(argument["objects"], list):
        return of.mistake(f"{path}.objects", "an array")
    objects = parts["objects"]

    def resolve(event: object) -> object:
        found = objects(event)
        assert isinstance(found, list)
        merged: dict[str, object] = {}
        for one in found if direction == "right" else reversed(found):
            merged |= one if isinstance(one, dict) else {}
        return merged

    return resolve


def _transform(of: Compiling, argument: object, path: str) -> Resolve:
    """`mapping` is applied to what `apply` has made of the event."""
    parts = _parts(of, argument, path, required=("apply", "mapping"))
    if parts is None:
        return constant(None)
    apply, mapping = parts["apply"], parts["mapping"]
    return lambda event: mapping(apply(event))


def _flatten(of: Compiling, argument: object, path: str) -> Resolve:
    parts = _parts(of, argument, path, required=("value", "separator"), optional=("omitArrays",))
    if parts is None or not isinstance(argument, dict):
        return constant(None)
    separator, whole = argument["separator"], argument.get("omitArrays", False)
    if not isinstance(separator, str):
        return of.mistake(f"{path}.separator", "a text")
    if not isinstance(whole, bool):
        return of.mistake(f"{path}.omitArrays", "true or false")
    value = parts["value"]

    def resolve(event: object) -> object:
        found = value(event)
        return dict(_flat("", found, separator, arrays=not whole)) if isinstance(found, dict | list) else found

    return resolve


def _flat(name: str, value: object, separator: str, *, arrays: bool) -> Iterator[tuple[str, object]]:
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list) and arrays:
        inner = [(str(n), one) for n, one in enumerate(value)]
    else:
        yield name, value
        return
    for own, one in inner:
        yield from _flat(f"{name}{separator}{own}" if name else own, one, separator, arrays=arrays)


def _json(of: Compiling, argument: object, path: str) -> Resolve:
    """A text that is no JSON stays as it is, and so does one of very many parts."""
    mode = _word(of, argument, path, "mode", ("encode", "decode"))
    parts = _parts(of, argument, path, required=("mode", "value"))
    if parts is None or mode is None:
        return constant(None)
    value = parts["value"]

    def encoded(event: object) -> object:
        found = value(event)
        return found if found is ABSENT else orjson.dumps(found).decode()

    def decoded(event: object) -> object:
        found = value(event)
        if not isinstance(found, str) or found.count("[") + found.count("{") > _DECODED_PARTS_MAX:
            return found
        try:
            return orjson.loads(found)
        except orjson.JSONDecodeError:
            return found

    return encoded if mode == "encode" else decoded


def _liquid(of: Compiling, argument: object, path: str) -> Resolve:  # noqa: ARG001 - none is taken
    return of.mistake(path, "is not available: use @template, @if, @case and @replace")


def _exclude_when_null(of: Compiling, argument: object, path: str) -> Resolve:
    value = of.value(argument, path)

    def resolve(event: object) -> object:
        found = value(event)
        return ABSENT if found is None else found

    return resolve


def _parts(
    of: Compiling, argument: object, path: str, *, required: tuple[str, ...], optional: tuple[str, ...] = ()
) -> Mapping[str, Resolve] | None:
    """The parts of an argument, compiled; None where they aren't those that it must have."""
    if not isinstance(argument, dict):
        of.mistake(path, f"an object with {', '.join((*required, *optional))}")
        return None
    missing, unknown = [one for one in required if one not in argument], argument.keys() - {*required, *optional}
    for name in missing:
        of.mistake(f"{path}.{name}", "is missing")
    for name in sorted(unknown):
        of.mistake(f"{path}.{name[:40]}", f"is none of {', '.join((*required, *optional))}")
    parts = {name: of.value(one, f"{path}.{name}") for name, one in argument.items() if name not in unknown}
    return None if missing or unknown else parts


def _word(of: Compiling, argument: object, path: str, name: str, words: tuple[str, ...]) -> str | None:
    """The word that a part is; None where it is none of the words, or isn't there."""
    word = argument.get(name) if isinstance(argument, dict) else None
    if word in words and isinstance(word, str):
        return word
    if word is not None:
        of.mistake(f"{path}.{name}", f"one of {', '.join(words)}")
    return None


DIRECTIVES: Final[Mapping[str, Directive]] = MappingProxyType(
    {
        "@path": _path,
        "@template": _template,
        "@literal": _literal,
        "@if": _if,
        "@arrayPath": _array_path,
        "@case": _case,
        "@replace": _replace,
        "@merge": _merge,
        "@transform": _transform,
        "@flatten": _flatten,
        "@json": _json,
        "@liquid": _liquid,
        "@excludeWhenNull": _exclude_when_null,
    }
)

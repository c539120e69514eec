"""Mappings: JSON in which objects with one `@directive` stand for what is taken from an event (engage.md §7.2).

A mapping is compiled once, which finds every mistake in it, and then makes one value of each event. Checked by control
when an activation is saved, applied by `events` when something is sent. The directives are in `directives`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

import orjson

from services.connectors.directives import ABSENT, DIRECTIVES, OPAQUE, Resolve, Wrong, constant

_DIRECTIVES_MAX: Final = 100
_LEVELS_MAX: Final = 20


@dataclass(frozen=True, slots=True)
class Compiled:
    """`resolve` gives the value, `ABSENT` where there is none.

    `opaque`: an identifier may come out of it in another form than it went in.
    """

    resolve: Resolve
    opaque: bool
    wrong: tuple[Wrong, ...]


@lru_cache(maxsize=1024)
def compiled(mapping: bytes) -> Compiled:
    """The mapping whose JSON this is; the same text is compiled once. Where it is `wrong` it resolves to anything."""
    compiling = _Compiling()
    resolve = compiling.value(orjson.loads(mapping), "")
    if compiling.directives > _DIRECTIVES_MAX:
        compiling.mistake("", f"more than {_DIRECTIVES_MAX} directives")
    return Compiled(resolve, compiling.opaque, tuple(compiling.wrong))


@dataclass(slots=True)
class _Compiling:
    """One pass over a mapping; `transforming` while within a `@transform`, which may not stand in another."""

    wrong: list[Wrong] = field(default_factory=list)
    directives: int = 0
    levels: int = 0
    opaque: bool = False
    transforming: bool = False

    def mistake(self, path: str, detail: str) -> Resolve:
        self.wrong.append((path, detail))
        return constant(None)

    def value(self, node: object, path: str) -> Resolve:
        """What stands for the node; `path` is where it is, with a dot before each part."""
        if self.levels == _LEVELS_MAX:
            return self.mistake(path, f"deeper than {_LEVELS_MAX} levels")
        self.levels += 1
        try:
            if isinstance(node, dict):
                return self._object(node, path)
            if isinstance(node, list):
                return _array([self.value(one, f"{path}[{n}]") for n, one in enumerate(node)])
            return constant(node)
        finally:
            self.levels -= 1

    def _object(self, node: Mapping[str, object], path: str) -> Resolve:
        names = [name for name in node if name.startswith("@")]
        if not names:
            return _fields({name: self.value(one, f"{path}.{name}") for name, one in node.items()})
        if len(node) > 1:
            return self.mistake(path, "an object has one directive alone, or fields")
        (name,) = names
        if name not in DIRECTIVES:
            return self.mistake(path, f"{name[:40]!r} is none of {', '.join(DIRECTIVES)}")
        return self._directive(name, node[name], f"{path}.{name}")

    def _directive(self, name: str, argument: object, path: str) -> Resolve:
        self.directives += 1
        self.opaque = self.opaque or name in OPAQUE
        if name != "@transform":
            return DIRECTIVES[name](self, argument, path)
        if self.transforming:  # each could double what the one before it made
            return self.mistake(path, "stands within another @transform")
        self.transforming = True
        try:
            return DIRECTIVES[name](self, argument, path)
        finally:
            self.transforming = False


def _fields(parts: Mapping[str, Resolve]) -> Resolve:
    """What is absent is left out; null stays."""

    def resolve(event: object) -> object:
        found = {name: part(event) for name, part in parts.items()}
        return {name: one for name, one in found.items() if one is not ABSENT}

    return resolve


def _array(parts: list[Resolve]) -> Resolve:
    """What is absent is null: its neighbours keep their places."""

    def resolve(event: object) -> object:
        found = [part(event) for part in parts]
        return [None if one is ABSENT else one for one in found]

    return resolve

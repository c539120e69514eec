"""Audiences and their members as a list of commands leaves them, in sets and dictionaries, slowly and obviously."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class NaiveAudience:
    """`expression` None: a list, whose members are `added`."""

    expression: dict[str, Any] | None
    state: str = "published"
    added: set[str] = field(default_factory=set)


class NaiveCommands:
    """One space, audiences by name. Each command returns whether it took effect."""

    def __init__(self) -> None:
        self.audiences: dict[str, NaiveAudience] = {}
        self.known: set[str] = set()  # whoever was a member of a list

    def create(self, name: str, expression: dict[str, Any] | None, state: str) -> bool:
        parts = leaves(expression)
        if name in self.audiences or not parts <= self.audiences.keys():
            return False
        if state == "published" and any(self.audiences[part].state != "published" for part in parts):
            return False
        self.audiences[name] = NaiveAudience(expression, state)
        return True

    def edit(self, name: str, expression: dict[str, Any]) -> bool:
        audience, parts = self.audiences.get(name), leaves(expression)
        if audience is None or audience.expression is None or not parts <= self.audiences.keys():
            return False
        if any(name == part or name in self.reach(part) for part in parts):
            return False
        if audience.state == "published" and any(self.audiences[part].state != "published" for part in parts):
            return False
        audience.expression = expression
        return True

    def move(self, name: str, state: str) -> bool:
        audience = self.audiences.get(name)
        if audience is None:
            return False
        if audience.state == state:
            return True
        if (audience.state, state) not in {
            ("draft", "published"),
            ("published", "inactive"),
            ("inactive", "published"),
        }:
            return False
        parts = leaves(audience.expression)
        if state == "published" and any(self.audiences[part].state != "published" for part in parts):
            return False
        if audience.state == "published" and self.users(name):
            return False
        audience.state = state
        return True

    def rename(self, name: str, other: str) -> bool:
        if name not in self.audiences or (other in self.audiences and other != name):
            return False
        self.audiences = {other if key == name else key: one for key, one in self.audiences.items()}
        for one in self.audiences.values():
            one.expression = renamed(one.expression, name, other)
        return True

    def delete(self, name: str) -> bool:
        return name in self.audiences and not self.users(name) and self.audiences.pop(name) is not None

    def members(self, operation: str, name: str, identifiers: set[str]) -> bool:
        audience = self.audiences.get(name)
        if audience is None or audience.expression is not None or audience.state == "inactive":
            return False
        match operation:
            case "add":
                audience.added |= identifiers
            case "remove":
                audience.added -= identifiers
            case _:
                audience.added = set(identifiers)
        self.known |= audience.added
        return True

    def users(self, name: str) -> list[str]:
        return [key for key, one in self.audiences.items() if name in leaves(one.expression)]

    def reach(self, name: str) -> set[str]:
        parts = leaves(self.audiences[name].expression)
        return parts.union(*map(self.reach, parts)) if parts else parts

    def present(self, name: str) -> set[str]:
        """The members of an audience."""
        audience = self.audiences[name]
        return audience.added if audience.expression is None else self._value(audience.expression)

    def _value(self, node: dict[str, Any]) -> set[str]:
        ((key, inner),) = node.items()
        if key == "audience":
            return self.present(inner)
        if key == "not":
            return self.known - self._value(inner)
        parts = [self._value(one) for one in inner]
        return set.intersection(*parts) if key == "and" else set.union(*parts)


def leaves(node: dict[str, Any] | None) -> set[str]:
    """The names in an expression."""
    if node is None:
        return set()
    ((key, inner),) = node.items()
    if key == "audience":
        return {inner}
    return leaves(inner) if key == "not" else set[str]().union(*map(leaves, inner))


def renamed(node: dict[str, Any] | None, name: str, other: str) -> dict[str, Any] | None:
    """The expression with another name for one of its audiences."""
    if node is None:
        return None
    ((key, inner),) = node.items()
    if key == "audience":
        return {key: other if inner == name else inner}
    return {key: renamed(inner, name, other) if key == "not" else [renamed(one, name, other) for one in inner]}

"""Audiences and their members as a list of commands leaves them, in sets and dictionaries, slowly and obviously."""

from typing import Any

_MOVES = {("draft", "published"), ("published", "inactive"), ("inactive", "published")}


class NaiveAudience:
    """`node` None: a list, whose members are `added`. Nodes hold audiences themselves: a name is only a name."""

    def __init__(self, node: dict[str, Any] | None, state: str) -> None:
        self.node, self.state, self.added = node, state, set[str]()


class NaiveCommands:
    """One space, audiences by name. Each command returns whether it took effect."""

    def __init__(self) -> None:
        self.audiences: dict[str, NaiveAudience] = {}
        self.known: set[str] = set()  # whoever was a member of a list

    def create(self, name: str, expression: dict[str, Any] | None, state: str) -> bool:
        node = expression and self._bound(expression)
        if name in self.audiences or None in parts(node) or not is_whole(node, state):
            return False
        self.audiences[name] = NaiveAudience(node, state)
        return True

    def edit(self, name: str, expression: dict[str, Any]) -> bool:
        audience, node = self.audiences.get(name), self._bound(expression)
        if audience is None or audience.node is None or None in parts(node) or not is_whole(node, audience.state):
            return False
        if audience in reach(node):
            return False
        audience.node = node
        return True

    def move(self, name: str, state: str) -> bool:
        audience = self.audiences.get(name)
        if audience is None or audience.state == state:
            return audience is not None
        if (audience.state, state) not in _MOVES or not is_whole(audience.node, state):
            return False
        if audience.state == "published" and self._is_used(audience):
            return False
        audience.state = state
        return True

    def rename(self, name: str, other: str) -> bool:
        if name not in self.audiences or (other in self.audiences and other != name):
            return False
        self.audiences[other] = self.audiences.pop(name)
        return True

    def delete(self, name: str) -> bool:
        return name in self.audiences and not self._is_used(self.audiences[name]) and bool(self.audiences.pop(name))

    def members(self, operation: str, name: str, identifiers: set[str]) -> bool:
        audience = self.audiences.get(name)
        if audience is None or audience.node is not None or audience.state == "inactive":
            return False
        before = set[str]() if operation == "replace" else audience.added
        audience.added = before - identifiers if operation == "remove" else before | identifiers
        self.known |= audience.added
        return True

    def present(self, name: str) -> set[str]:
        """The members of an audience."""
        return self._value({"audience": self.audiences[name]})

    def _value(self, node: dict[str, Any]) -> set[str]:
        ((key, inner),) = node.items()
        if key == "audience":
            return inner.added if inner.node is None else self._value(inner.node)
        if key == "not":
            return self.known - self._value(inner)
        return (set.intersection if key == "and" else set.union)(*map(self._value, inner))

    def _bound(self, node: dict[str, Any]) -> dict[str, Any]:
        ((key, inner),) = node.items()
        if key == "audience":
            return {key: self.audiences.get(inner)}
        return {key: self._bound(inner) if key == "not" else [self._bound(one) for one in inner]}

    def _is_used(self, audience: NaiveAudience) -> bool:
        return any(audience in parts(one.node) for one in self.audiences.values())


def parts(node: dict[str, Any] | None) -> set[Any]:
    """The audiences in an expression, None for one that is not there."""
    if node is None:
        return set()
    ((key, inner),) = node.items()
    return {inner} if key == "audience" else set().union(*map(parts, [inner] if key == "not" else inner))


def reach(node: dict[str, Any] | None) -> set[Any]:
    """Those, their own parts, and so on."""
    return parts(node).union(*(reach(part.node) for part in parts(node)))


def is_whole(node: dict[str, Any] | None, state: str) -> bool:
    """Whether all parts are published, where what they make is to be."""
    return state != "published" or all(part.state == "published" for part in parts(node))

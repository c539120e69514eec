"""Compositions (engine.md §2): from what a user sent to resolved nodes, and what two compositions may not do."""

from collections.abc import Callable
from typing import Final

from contracts import codes
from contracts.messages.entities import Audience, Expression
from services.domain.catalogue.failed import ItemFailed, fail, quoted

DEPTH_MAX: Final = 16
LEAVES_MAX: Final = 200

Find = Callable[[str], Audience | None]


def resolve(sent: object, find: Find) -> Expression:
    """The expression with ids for references; raises `ItemFailed`."""
    found = [0]  # leaves so far, counted over the whole tree

    def node(part: object, depth: int, path: str) -> Expression:
        if depth > DEPTH_MAX:
            fail(codes.EXPRESSION_TOO_DEEP, f"deeper than {DEPTH_MAX} levels at {path}")
        if not isinstance(part, dict) or len(part) != 1:
            fail(codes.EXPRESSION_INVALID, f"{path}: a node is an object with exactly one key")
        ((key, value),) = part.items()
        match key:
            case "audience":
                return leaf(value, path)
            case "not":
                return Expression(not_=node(value, depth + 1, f"{path}.not"))
            case "and" | "or":
                parts = [node(one, depth + 1, f"{path}.{key}[{n}]") for n, one in enumerate(listed(value, path, key))]
                return Expression(and_=parts) if key == "and" else Expression(or_=parts)
            case _:
                wrong = quoted(str(key))
                raise ItemFailed(codes.EXPRESSION_INVALID, f"{path}: {wrong} is none of audience, and, or, not")

    def leaf(reference: object, path: str) -> Expression:
        found[0] += 1
        if found[0] > LEAVES_MAX:
            fail(codes.EXPRESSION_TOO_MANY_LEAVES, f"more than {LEAVES_MAX} leaves")
        if not isinstance(reference, str):
            fail(codes.EXPRESSION_INVALID, f"{path}: an audience is referred to by a string")
        audience = find(reference)
        if audience is None:
            fail(codes.NOT_FOUND, f"{path}: no audience {quoted(reference)}")
        return Expression(audience=audience.audience_id)

    return node(sent, 1, "expression")


def listed(value: object, path: str, key: str) -> list[object]:
    """The parts of an `and` or `or`; raises `ItemFailed`."""
    if not isinstance(value, list):
        fail(codes.EXPRESSION_INVALID, f"{path}.{key}: not a list")
    if not value:
        fail(codes.EXPRESSION_EMPTY, f"{path}.{key}: an empty list")
    return value


def leaves(expression: Expression) -> list[str]:
    """The ids of all parts, each once, in order of appearance."""
    found: dict[str, None] = {}
    waiting = [expression]
    while waiting:
        node = waiting.pop()
        if node.audience is not None:
            found[node.audience] = None
        inner = [*(node.and_ or ()), *(node.or_ or ()), *((node.not_,) if node.not_ is not None else ())]
        waiting.extend(reversed(inner))
    return list(found)


def refuse_cycle(audience_id: str, expression: Expression, get: Find) -> None:
    """Raises `ItemFailed` where the audience would be part of itself, however deep."""
    waiting, seen = leaves(expression), set[str]()
    while waiting:
        part = waiting.pop()
        if part == audience_id:
            fail(codes.EXPRESSION_CYCLE, f"audience {audience_id} would be part of itself")
        if part in seen:
            continue
        seen.add(part)
        audience = get(part)
        if audience is not None and audience.expression is not None:
            waiting.extend(leaves(audience.expression))

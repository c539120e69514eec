"""Evaluation of expressions over bitmaps (engine.md §2).

Evaluation goes identity by identity in meaning: whether one is a member depends on its own memberships alone. So the
same function serves whole sets and touched identities only: give it sets cut to those touched. `selects` asks of one.
"""

from collections.abc import Callable, Iterator

from pyroaring import BitMap

from contracts.messages.entities import Expression

MembersOf = Callable[[str], BitMap]


def evaluate(node: Expression, members_of: MembersOf, known: BitMap) -> BitMap:
    """Whom the expression selects, a set of its own. `not` is the complement within `known`.

    Raises ValueError for what is no expression.
    """
    if node.audience is not None:
        return members_of(node.audience).copy()
    if node.not_ is not None:
        return known - evaluate(node.not_, members_of, known)
    if node.or_:
        return BitMap.union(*(evaluate(part, members_of, known) for part in node.or_))
    if node.and_:
        return _intersect(node.and_, members_of, known)
    raise ValueError("an expression node has none of its four keys, or an empty list")


def selects(node: Expression, identity: int, members_of: MembersOf, known: BitMap) -> bool:
    """Whether `evaluate` would select this identity, at the cost of one, and of as many parts as it takes."""
    if node.audience is not None:
        return identity in members_of(node.audience)
    if node.not_ is not None:
        return identity in known and not selects(node.not_, identity, members_of, known)
    for part in node.or_ or ():
        if selects(part, identity, members_of, known):
            return True
    for part in node.and_ or ():
        if not selects(part, identity, members_of, known):
            return False
    return bool(node.and_)


def parts_of(node: Expression) -> frozenset[str]:
    """The ids of all audiences that it names."""
    return frozenset(leaf.audience for leaf in _nodes(node) if leaf.audience is not None)


def selects_strangers(node: Expression) -> bool:
    """Whether it selects who is in none of its parts: then identities that become known change it, whoever they are."""
    return bool(evaluate(node, lambda _: BitMap(), BitMap([0])))


def _intersect(parts: list[Expression], members_of: MembersOf, known: BitMap) -> BitMap:
    """What is selected lies within the known, so `a and not b` is a difference."""
    found: BitMap | None = None
    for part in parts:
        if part.not_ is None:
            selected = evaluate(part, members_of, known)
            found = selected if found is None else found & selected
            if not found:
                return found
    found = known.copy() if found is None else found
    for part in parts:
        if part.not_ is not None:
            found -= evaluate(part.not_, members_of, known)
    return found


def _nodes(node: Expression) -> Iterator[Expression]:
    yield node
    for part in (*(node.and_ or ()), *(node.or_ or ()), *((node.not_,) if node.not_ else ())):
        yield from _nodes(part)

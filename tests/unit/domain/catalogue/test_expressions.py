"""Compositions: resolved to ids, read back, and never part of themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import codes
from contracts.messages.entities import Audience, Expression
from services.domain.catalogue.expressions import DEPTH_MAX, LEAVES_MAX, leaves, refuse_cycle, resolve
from services.domain.catalogue.failed import ItemFailed


def audience(id_: str, expression: Expression | None = None) -> Audience:
    """An audience of which only the composition matters."""
    return Audience(
        space_id="s",
        audience_id=id_,
        name=id_,
        created_at="",
        updated_at="",
        kind="list",
        id_type="kuid",
        expression=expression,
        created_step=1,
        step=1,
    )


def found(reference: str) -> Audience:
    """Every name means an audience whose id is the name in capitals."""
    return audience(reference.upper())


NODES = st.recursive(
    st.builds(lambda name: {"audience": name}, st.sampled_from("abcdef")),
    lambda inner: st.one_of(
        st.builds(lambda node: {"not": node}, inner),
        st.builds(lambda key, nodes: {key: nodes}, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=4)),
    ),
    max_leaves=30,
)  # fmt: skip


def depth(node: object) -> int:
    """Levels of a sent expression."""
    match node:
        case {"not": inner}:
            return 1 + depth(inner)
        case {"and": list(parts)} | {"or": list(parts)}:
            return 1 + max(map(depth, parts))
    return 1


def named(node: object) -> list[str]:
    """The references of a sent expression, in order."""
    match node:
        case {"audience": str(name)}:
            return [name]
        case {"not": inner}:
            return named(inner)
        case {"and": list(parts)} | {"or": list(parts)}:
            return [name for part in parts for name in named(part)]
    return []


@given(NODES)
def test_what_is_resolved_says_the_same_by_ids(sent: object) -> None:
    if depth(sent) > DEPTH_MAX:
        return

    resolved = resolve(sent, found)

    assert leaves(resolved) == list(dict.fromkeys(name.upper() for name in named(sent)))
    assert resolve(_sent(resolved), audience) == resolved


def _sent(expression: Expression) -> object:
    if expression.audience is not None:
        return {"audience": expression.audience}
    if expression.not_ is not None:
        return {"not": _sent(expression.not_)}
    key, parts = ("and", expression.and_) if expression.and_ is not None else ("or", expression.or_)
    return {key: [_sent(part) for part in parts or ()]}


def test_the_limits_themselves_are_allowed() -> None:
    deep: object = {"audience": "a"}
    for _ in range(DEPTH_MAX - 1):
        deep = {"not": deep}

    assert leaves(resolve(deep, found)) == ["A"]
    assert leaves(resolve({"or": [{"audience": "a"}] * LEAVES_MAX}, found)) == ["A"]


CYCLES = [
    ({}, {"audience": "x"}, False),
    ({}, {"audience": "me"}, True),
    ({"x": "y", "y": "me"}, {"audience": "x"}, True),
    ({"x": "y", "y": "z"}, {"and": [{"audience": "x"}, {"audience": "y"}]}, False),
    ({f"n{i}": f"n{i + 1}" for i in range(5_000)}, {"audience": "n0"}, False),
    ({f"n{i}": f"n{i + 1}" for i in range(5_000)} | {"n5000": "me"}, {"audience": "n0"}, True),
]


@pytest.mark.parametrize(("parts", "sent", "cyclic"), CYCLES)
def test_an_audience_is_never_part_of_itself(parts: dict[str, str], sent: object, *, cyclic: bool) -> None:
    standing = {id_: audience(id_, Expression(audience=part)) for id_, part in parts.items()}
    expression = resolve(sent, audience)

    if not cyclic:
        refuse_cycle("me", expression, standing.get)
        return
    with pytest.raises(ItemFailed) as failed:
        refuse_cycle("me", expression, standing.get)
    assert failed.value.code == codes.EXPRESSION_CYCLE

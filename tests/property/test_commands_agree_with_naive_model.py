"""Random commands through control and membership leave the catalogue, sizes and changes that a naive model does.

Each command is one item, so that both judge the same; what membership writes is folded as a consumer would, and after
every command the difference of the changes is exactly the difference of the members.
"""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import to_builtins

from contracts import catalog
from contracts.messages.entities import Audience
from tests.property.naive_commands import NaiveCommands
from tests.unit.domain.control.bench import Bench, replies
from tests.unit.domain.membership.world import World

NAMES = st.sampled_from("abcd")
STATES = st.sampled_from(["draft", "published", "inactive"])
IDENTIFIERS = st.sets(st.sampled_from([f"u{n}" for n in range(8)]), min_size=1)
EXPRESSIONS = st.recursive(
    st.builds(lambda name: {"audience": name}, NAMES),
    lambda inner: st.one_of(
        st.builds(lambda node: {"not": node}, inner),
        st.builds(lambda key, nodes: {key: nodes}, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=4,
)  # fmt: skip
COMMANDS = st.one_of(
    st.tuples(st.just("create"), NAMES, st.none() | EXPRESSIONS, st.sampled_from(["draft", "published", "published"])),
    st.tuples(st.just("members"), st.sampled_from(["add", "add", "remove", "replace"]), NAMES, IDENTIFIERS),
    st.tuples(st.just("edit"), NAMES, EXPRESSIONS),
    st.tuples(st.just("move"), NAMES, STATES),
    st.tuples(st.just("rename"), NAMES, NAMES),
    st.tuples(st.just("delete"), NAMES),
)


def sent(command: tuple[Any, ...]) -> tuple[str, dict[str, Any]]:
    """The command as a user sends it."""
    match command:
        case ("create", name, None, state):
            return "audiences.create", {"name": name, "id_type": "kuid", "lifecycle_state": state}
        case ("create", name, expression, state):
            return "audiences.create", {"name": name, "expression": expression, "lifecycle_state": state}
        case ("members", operation, name, identifiers):
            return f"members.{operation}", {"audience": name, "identifiers": sorted(identifiers)}
        case ("edit", name, expression):
            return "audiences.update", {"audience": name, "expression": expression}
        case ("move", name, state):
            return "audiences.update", {"audience": name, "lifecycle_state": state}
        case ("rename", name, other):
            return "audiences.update", {"audience": name, "name": other}
        case _:
            return "audiences.delete", {"audience": command[1]}


def audiences(bench: Bench) -> dict[str, Audience]:
    return {one.name: one for one in bench.catalogue.values() if isinstance(one, Audience)}


def published(node: dict[str, Any] | None, ids: dict[int, str]) -> dict[str, Any] | None:
    """A node of the model as the catalogue publishes it; `ids` by the model's audiences."""
    if node is None:
        return None
    ((key, inner),) = node.items()
    if key == "audience":
        return {key: ids[id(inner)]}
    return {key: published(inner, ids) if key == "not" else [published(one, ids) for one in inner]}


@settings(max_examples=60, deadline=None)
@given(st.lists(COMMANDS, max_size=25))
def test_commands_agree(commands: list[tuple[Any, ...]]) -> None:
    bench, world, model = Bench().space(), World(), NaiveCommands()
    for command in commands:
        before = {name: set(model.present(name)) for name in model.audiences}
        took_effect = getattr(model, command[0])(*command[1:])
        type_, item = sent(command)

        outs = bench.handle(bench.command(type_, item))
        world.forget_changes()
        for out in outs:
            if out.topic == catalog.INPUT:
                assert out.partition is not None
                assert out.value is not None
                world.put(out.partition, out.headers, out.value)

        (reply,) = replies(outs)
        assert bool(reply.data) == took_effect, (command, reply.errors)
        present = audiences(bench)
        ids = {id(model.audiences[name]): one.audience_id for name, one in present.items()}
        assert {name: (one.lifecycle_state, to_builtins(one.expression)) for name, one in present.items()} == {
            name: (one.state, published(one.node, ids)) for name, one in model.audiences.items()
        }
        for name, audience in present.items():
            members, id_ = model.present(name), audience.audience_id
            assert world.members.get(id_, set()) == members
            assert world.size(id_) == len(members)
            if command[0] != "rename":
                was = before.get(name, set())
                assert world.changed(id_) == {"entered": members - was, "exited": was - members}

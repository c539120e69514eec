"""Collapsing a batch to the latest state of each identity, and cutting it."""

import pytest

from services.domain.delivery.merge import collapse, cut, members_of, stretches
from tests.unit.domain.delivery.making import clearing, delivery


@pytest.mark.parametrize(
    ("batch", "kept"),
    [
        ([("add", "a")], [["a"]]),
        ([("add", "ab"), ("remove", "a")], [["b"], ["a"]]),
        ([("remove", "a"), ("add", "a")], [[], ["a"]]),
        ([("add", "a"), ("remove", "a"), ("add", "a")], [[], [], ["a"]]),
        ([("add", "ab"), ("add", "bc"), ("remove", "c")], [["a"], ["b"], ["c"]]),
        ([("add", "a"), ("add", "b"), ("remove", "c")], [["a"], ["b"], ["c"]]),
        ([("add", "")], [[]]),
    ],
)
def test_the_latest_word_on_an_identity_stays(batch: list[tuple[str, str]], kept: list[list[str]]) -> None:
    found = collapse([delivery(n, operation, list(members)) for n, (operation, members) in enumerate(batch)])
    assert [one.members for one in found] == kept
    assert [one.merged for one in found] == [
        len(members) - len(left) for (_, members), left in zip(batch, kept, strict=True)
    ]


def test_nothing_is_merged_across_activations() -> None:
    found = collapse([delivery(1, "add", ["a"], activation_id="x"), delivery(2, "remove", ["a"], activation_id="y")])
    assert [one.members for one in found] == [["a"], ["a"]]


def test_a_late_older_record_does_not_win() -> None:
    found = collapse([delivery(9, "remove", ["a"]), delivery(3, "add", ["a"])])
    assert [one.members for one in found] == [["a"], []]


def test_the_same_delivery_twice_is_sent_once() -> None:
    found = collapse([delivery(3, "add", ["a", "b"]), delivery(3, "add", ["a", "b"])])
    assert [(one.members, one.merged) for one in found] == [([], 2), (["a", "b"], 0)]


def test_batches_are_filled_in_order_and_long_deliveries_are_cut() -> None:
    kept = collapse([delivery(1, "add", list("abcde")), delivery(2, "remove", list("fg"))])
    batches = list(cut(kept, 3))
    assert [[item.members for item in batch] for batch in batches] == [
        [["a", "b", "c"]],
        [["d", "e"], ["f"]],
        [["g"]],
    ]
    assert [members_of(batch) for batch in batches] == [3, 3, 1]
    assert list(cut(collapse([delivery(1, "add", list("abcde")), delivery(2, "remove", list("fg"))]), 3)) == batches


def test_no_item_id_stands_for_two_contents() -> None:
    """Whatever the cut and the merges, an id is one operation on one list of members."""
    adds = delivery(1, "add", ["a", "b", "c", "ab"])
    contents: dict[str, tuple[str, ...]] = {}
    for batch in ([adds], [adds, delivery(2, "remove", ["a"])], [adds, delivery(3, "remove", ["a", "b"])]):
        for members_max in range(1, 6):
            for items in cut(collapse(batch), members_max):
                for item in items:
                    assert contents.setdefault(item.id, tuple(item.members)) == tuple(item.members)
    assert contents[adds.delivery_id] == ("a", "b", "c", "ab")
    assert len(contents) > 5


def test_lists_that_read_the_same_when_joined_have_different_ids() -> None:
    whole = delivery(1, "add", ["a", "bc", "ab", "c"])
    first, second = (items[0] for items in cut(collapse([whole]), 2))
    assert first.id != second.id


@pytest.mark.parametrize(
    ("operations", "found"),
    [
        ("", []),
        ("ar", ["ar"]),
        ("c", ["c"]),
        ("ac", ["a", "c"]),
        ("carccra", ["c", "ar", "c", "c", "ra"]),
    ],
)
def test_a_clearing_stands_alone_and_nothing_is_merged_across_it(operations: str, found: list[str]) -> None:
    words = {"a": "add", "r": "remove"}
    batch = [clearing(n, 7) if one == "c" else delivery(n, words[one], ["x"]) for n, one in enumerate(operations)]
    assert [operations[one] for one in stretches(batch)] == found


def test_a_clearing_is_an_item_of_nobody() -> None:
    ((item,),) = cut(collapse([clearing(1, 7)]), 10)
    assert (item.id, item.members, item.delivery.operation) == ("acme.7.0.clear.act_1", [], "clear")

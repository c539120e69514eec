"""Events of a topic feed: each is in one batch, in its place, or refused alone with its reason."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts import codes
from contracts.codes import Code
from contracts.ids import canonical
from contracts.messages.steps import StreamRowsHeader
from contracts.partitioning import member_partition
from services.domain.intake.stream import ReadEvents, read_events
from services.domain.rows import EventBatch, decode_events, encode_events, scatter_events

AUDIENCES = {"buyers": "aud_1", "aud_1": "aud_1", "visitors": "aud_2"}
UUID = "0123ABCD-0000-4000-8000-00000000000F"
HASH = "0F" * 32


def read(values: Sequence[bytes | None], *, id_type: str = "kuid", fixed: str | None = None) -> ReadEvents:
    return read_events(values, range(100, 100 + len(values)), id_type=id_type, resolve=AUDIENCES.get, fixed=fixed)


def event(**said: object) -> bytes:
    return json.dumps(said).encode()


def said(batches: Sequence[EventBatch]) -> dict[int, tuple[str, str, bool]]:
    """By offset: identity, audience id, whether it adds."""
    found = {}
    for batch in batches:
        rows = zip(batch.rows.identities.texts(), batch.rows.audience.tolist(), batch.adds.tolist(), strict=True)
        assert sorted(batch.offsets.tolist()) == batch.offsets.tolist()
        for offset, (text, at, adds) in zip(batch.offsets.tolist(), rows, strict=True):
            found[offset] = text, batch.rows.audiences[at], adds
    return found


def test_events_become_canonical_columns_in_their_order() -> None:
    found = read(
        [
            event(id="u1", audience="buyers", op="add"),
            event(id=UUID, audience=" visitors ", op="remove", ts="2026-01-02"),
            event(id=" u2 ", audience="aud_1", op="remove", ts=7),
            b'{ "more": [1],\n "op": "add", "audience": "buyers", "id": "u1" }',
        ]
    )
    assert found.refused == []
    assert said(found.batches) == {
        100: ("u1", "aud_1", True),
        101: (UUID.lower(), "aud_2", False),
        102: ("u2", "aud_1", False),
        103: ("u1", "aud_1", True),
    }


def test_hashes_are_held_to_their_id_type() -> None:
    found = read([event(id=one, audience="buyers", op="add") for one in (HASH, HASH[2:])], id_type="email_sha256")
    assert said(found.batches) == {100: (HASH.lower(), "aud_1", True)}
    assert found.refused == [(1, codes.ROW_IDENTIFIER_INVALID, "")]


def test_a_feed_that_names_the_audience_needs_none_and_heeds_none() -> None:
    found = read([event(id="u1", op="add"), event(id="u2", audience="nobody", op="add")], fixed="aud_9")
    assert [audience for _, audience, _ in said(found.batches).values()] == ["aud_9", "aud_9"]


REFUSED: list[tuple[bytes | None, Code, str]] = [
    (None, codes.EVENT_INVALID, "it is not JSON"),
    (b"", codes.EVENT_INVALID, "it is not JSON"),
    (b"u1,buyers,add", codes.EVENT_INVALID, "it is not JSON"),
    (b'{"id":"\xff","audience":"buyers","op":"add"}', codes.EVENT_INVALID, "it is not JSON"),
    (b'{"x":' + b"[" * 100_000, codes.EVENT_INVALID, "it is not JSON"),
    (b"[]", codes.EVENT_INVALID, "Expected `object`, got `array`"),
    (event(id="u1", audience="buyers", op="add") * 2, codes.EVENT_INVALID, "it is not JSON"),
    (event(audience="buyers", op="add"), codes.EVENT_INVALID, "Object missing required field `id`"),
    (event(id=7, audience="buyers", op="add"), codes.EVENT_INVALID, "`$.id`"),
    (event(id="u1", audience="buyers", op="me@example.org"), codes.EVENT_INVALID, "`$.op`"),
    (event(id="u1", audience=["buyers"], op="add"), codes.EVENT_INVALID, "`$.audience`"),
    (event(id="u1", op="add"), codes.EVENT_INVALID, "neither the event nor the feed names an audience"),
    (event(id=" ", audience="buyers", op="add"), codes.ROW_IDENTIFIER_EMPTY, ""),
    (event(id="x" * 257, audience="buyers", op="add"), codes.ROW_IDENTIFIER_INVALID, ""),
    (event(id="u\x01", audience="buyers", op="add"), codes.ROW_ENCODING, ""),
    (event(id="u1", audience="nobody", op="add"), codes.ROW_AUDIENCE_UNKNOWN, ""),
]


@pytest.mark.parametrize(("value", "code", "detail"), REFUSED)
def test_a_bad_event_is_refused_alone(value: bytes | None, code: Code, detail: str) -> None:
    good = event(id="u1", audience="buyers", op="add")
    found = read([good, value, good])
    assert found.refused == [(1, code, detail)]
    assert [*said(found.batches)] == [100, 102]


def test_nothing_is_read_from_nothing() -> None:
    assert read([]) == ReadEvents([], [])
    assert read([b"?"]).batches == []


ids = st.sampled_from([UUID, UUID.lower(), HASH, "u1", "u2", "ü", "", "x" * 300, "\x00"])
events = st.fixed_dictionaries(
    {"id": ids, "audience": st.sampled_from([*AUDIENCES, "nobody", None]), "op": st.sampled_from(["add", "remove"])}
) | st.sampled_from([{}, {"op": "add"}, 7, None])


@given(st.lists(events, max_size=20), st.integers(1, 5))
def test_every_event_reaches_its_home_or_is_refused(sent: list[object], partitions: int) -> None:
    found = read([json.dumps(one).encode() for one in sent])
    refused = {position for position, _, _ in found.refused}
    expected = {
        100 + at: (canonical("kuid", one["id"]), AUDIENCES[one["audience"]], one["op"] == "add")
        for at, one in enumerate(sent)
        if isinstance(one, dict) and at not in refused
    }
    assert said(found.batches) == expected
    assert refused.isdisjoint(at - 100 for at in expected)
    assert len(refused) + len(expected) == len(sent)
    arrived = []
    for batch in found.batches:
        for home, part in scatter_events(batch, partitions):
            texts = part.rows.identities.texts()
            assert {member_partition(text, partitions) for text in texts} == {home}
            assert {*part.rows.audience.tolist()} == {*range(len(part.rows.audiences))}
            header = StreamRowsHeader(
                space_id="s", feed_id="f", topic="t", partition=0, id_type="kuid",
                first_offset=int(part.offsets[0]), last_offset=int(part.offsets[-1]),
            )  # fmt: skip
            arrived.append(decode_events(encode_events(part), header))
    assert said(arrived) == expected

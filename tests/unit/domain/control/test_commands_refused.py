"""Each defect of a whole command a row: its code, a rejected reply where the space is known, the original kept."""

import json

import pytest

from contracts import catalog, codec, codes
from contracts.codec import Headers
from contracts.codes import Code
from tests.unit.domain.control.bench import SPACE, Bench, codes_of, command, config, home, letters, replies

GOOD = {"specversion": "1.0", "id": "c-9", "source": "/t", "type": "spaces.update", "spaceid": SPACE, "data": {"items": [{}]}}  # fmt: skip
BINARY: Headers = (
    ("ce_specversion", b"1.0"),
    ("ce_id", b"c-9"),
    ("ce_source", b"/t"),
    ("ce_type", b"members.add"),
    ("ce_spaceid", SPACE.encode()),
)


def changed(**fields: object) -> bytes:
    """A good command with other fields; None takes a field away."""
    return json.dumps({name: one for name, one in (GOOD | fields).items() if one is not None}).encode()


def identifiers(count: int, items: int = 1) -> bytes:
    """A members command with so many identifiers over its items."""
    share = count // items
    sizes = [share] * (items - 1) + [count - share * (items - 1)]
    return command("members.add", [{"audience": "a", "identifiers": ["u"] * size} for size in sizes], id_="c-9")


KEY = SPACE.encode()
ROWS: list[tuple[str, bytes | None, bytes | None, Headers, Code]] = [
    ("an operation beside items", changed(type="members.add", data={"items": [{}], "operation": "remove"}), KEY, (), codes.COMMAND_INVALID),
    ("not JSON", b"{", KEY, (), codes.COMMAND_NOT_JSON),
    ("no bytes", b"", KEY, (), codes.COMMAND_NOT_JSON),
    ("no value", None, KEY, (), codes.NOT_A_CLOUDEVENT),
    ("not UTF-8", b'{"a":"\xff"}', KEY, (), codes.COMMAND_NOT_JSON),
    ("NaN", b'{"a":NaN}', KEY, (), codes.COMMAND_NOT_JSON),
    ("too deep to read", b"[" * 100_000, KEY, (), codes.COMMAND_NOT_JSON),
    ("a list", b"[]", KEY, (), codes.NOT_A_CLOUDEVENT),
    ("no specversion", changed(specversion=None), KEY, (), codes.NOT_A_CLOUDEVENT),
    ("another specversion", changed(specversion="0.3"), KEY, (), codes.NOT_A_CLOUDEVENT),
    ("without id", changed(id=None), KEY, (), codes.COMMAND_ID_MISSING),
    ("without source", changed(source=None), KEY, (), codes.COMMAND_ID_MISSING),
    ("a number as id", changed(id=7), KEY, (), codes.NOT_A_CLOUDEVENT),
    ("an endless id", changed(id="c" * 257), KEY, (), codes.COMMAND_INVALID),
    ("unknown type", changed(type="audiences.explode"), KEY, (), codes.COMMAND_TYPE_UNKNOWN),
    ("without type", changed(type=None), KEY, (), codes.COMMAND_TYPE_UNKNOWN),
    ("without data", changed(data=None), KEY, (), codes.COMMAND_INVALID),
    ("data without items", changed(data={}), KEY, (), codes.COMMAND_INVALID),
    ("items is no list", changed(data={"items": {}}), KEY, (), codes.COMMAND_INVALID),
    ("no items", changed(data={"items": []}), KEY, (), codes.COMMAND_INVALID),
    ("validate_only is no boolean", changed(data={"items": [{}], "validate_only": 1}), KEY, (), codes.COMMAND_INVALID),
    ("two spaces in one command", changed(type="spaces.create", data={"items": [{}, {}]}), KEY, (), codes.COMMAND_INVALID),
    ("10,001 items", changed(data={"items": [{}] * 10_001}), KEY, (), codes.COMMAND_TOO_LARGE),
    ("50,001 identifiers", identifiers(50_001), KEY, (), codes.COMMAND_TOO_LARGE),
    ("50,001 identifiers over three items", identifiers(50_001, 3), KEY, (), codes.COMMAND_TOO_LARGE),
    ("a key twice in an item", changed().replace(b"[{}]", b'[{"name":"a","name":"b"}]'), KEY, (), codes.DUPLICATE_JSON_KEY),
    ("a key twice in the envelope", changed()[:-1] + b',"id":"c-8"}', KEY, (), codes.DUPLICATE_JSON_KEY),
    ("unknown space", changed(spaceid="nowhere"), b"nowhere", (), codes.SPACE_UNKNOWN),
    ("unknown space, no key", changed(spaceid="nowhere"), None, (), codes.SPACE_UNKNOWN),
    ("a space that can't be", changed(spaceid="No Such/Space"), b"No Such/Space", (), codes.SPACE_UNKNOWN),
    ("key and space in contradiction", changed(spaceid="other"), KEY, (), codes.SPACE_MISMATCH),
    ("key is no text", changed(), b"\xff\xfe", (), codes.SPACE_MISMATCH),
    ("no space at all", changed(spaceid=None), None, (), codes.COMMAND_INVALID),
    ("binary, not JSON", b"nope", KEY, BINARY, codes.COMMAND_NOT_JSON),
    ("binary, without id", b'{"items":[{}]}', KEY, BINARY[:1] + BINARY[2:], codes.COMMAND_ID_MISSING),
    ("binary, without specversion", b'{"items":[{}]}', KEY, BINARY[1:], codes.NOT_A_CLOUDEVENT),
]  # fmt: skip
UNANSWERABLE = {"no space at all"}


@pytest.mark.parametrize(("value", "key", "headers", "code", "name"), [(*row[1:], row[0]) for row in ROWS], ids=[row[0] for row in ROWS])  # fmt: skip
def test_a_command_of_which_nothing_is_understood(
    value: bytes | None, key: bytes | None, headers: Headers, code: Code, name: str
) -> None:
    bench = Bench().space()
    before, state_before = dict(bench.catalogue), dict(bench.state)
    record = bench.record(catalog.COMMANDS, value, key=key, headers=headers)

    outs = bench.handle(record)

    ((dead, letter),) = letters(outs)
    assert dead == code.code
    assert (letter.key, letter.value) == (key, value)
    assert letter.headers[: len(headers)] == headers
    assert codec.header(letter.headers, "dlq-offset") == str(record.offset)
    answered = replies(outs)
    if name in UNANSWERABLE:
        assert not answered
    else:
        (reply,) = answered
        assert reply.status == "rejected"
        assert codes_of(reply) == [code.code]
        assert (reply.errors[0].item, reply.errors[0].instance) == (None, "@data")
        assert (reply.counts.items, reply.counts.applied, reply.counts.failed) == (0, 0, 0)
    assert (bench.catalogue, bench.state) == (before, state_before)


@pytest.mark.parametrize(
    ("value", "headers"), [(b"[" * (16 << 20), ()), (changed(), (("x", b"y" * (16 << 20)),))], ids=["value", "header"]
)
def test_a_command_larger_than_its_topic_takes(value: bytes, headers: Headers) -> None:
    """The broker counts what the sender compressed; what it becomes must be written again in some form."""
    bench = Bench().space()

    outs = bench.handle(bench.record(catalog.COMMANDS, value, key=KEY, headers=headers))

    assert [code for code, _ in letters(outs)] == [codes.COMMAND_TOO_LARGE.code]
    assert [codes_of(reply) for reply in replies(outs)] == [[codes.COMMAND_TOO_LARGE.code]]
    for out in outs:
        heads = sum(len(name) + len(text) for name, text in out.headers)
        assert len(out.value or b"") + heads < (16 << 20)


def test_a_rejected_reply_says_which_command_it_answers() -> None:
    bench = Bench().space()

    outs = bench.handle(bench.record(catalog.COMMANDS, changed(type="audiences.explode"), key=KEY))

    (reply,) = (out for out in outs if out.topic == catalog.REPLIES)
    assert codec.header(reply.headers, "ce_type") == "audiences.explode.reply"
    assert codec.header(reply.headers, "ce_correlationid") == "c-9"
    assert codec.header(reply.headers, "ce_spaceid") == SPACE
    assert reply.key == KEY


@pytest.mark.parametrize("wrong", [b"Infinity", b'"\\ud800"', b"1e999"])
def test_what_is_no_json_for_one_value_is_answered_by_its_id(wrong: bytes) -> None:
    """Whoever wrote it waits for the reply of that id, and would never learn why none comes."""
    bench = Bench().space()
    value = changed(data={"items": [{"name": "WRONG"}]}).replace(b'"WRONG"', wrong)

    outs = bench.handle(bench.record(catalog.COMMANDS, value, key=KEY))

    (answer,) = [out for out in outs if out.topic == catalog.REPLIES]
    assert codec.header(answer.headers, "ce_correlationid") == GOOD["id"]
    assert replies(outs)[0].status == "rejected"


@pytest.mark.parametrize("id_", [b'"\\udfff"', b"7", b'""'])
def test_an_id_that_is_no_text_is_no_id(id_: bytes) -> None:
    bench = Bench().space()

    outs = bench.handle(bench.record(catalog.COMMANDS, changed(id="ID").replace(b'"ID"', id_), key=KEY))

    (reply,) = replies(outs)
    assert reply.status == "rejected"


def test_a_command_without_key_or_without_spaceid_means_the_one_that_is_there() -> None:
    bench = Bench().space()

    without_key = bench.handle(bench.record(catalog.COMMANDS, changed(), key=None))
    without_space = bench.handle(bench.record(catalog.COMMANDS, changed(id="c-8", spaceid=None), key=KEY))

    assert [reply.status for reply in replies([*without_key, *without_space])] == ["accepted", "accepted"]


def test_the_largest_commands_are_accepted() -> None:
    bench = Bench().space()
    bench.made("audiences.create", {"name": "a", "id_type": "kuid"})
    values = [identifiers(50_000), command("spaces.update", [{}] * 10_000, id_="c-8")]

    outs = [out for value in values for out in bench.handle(bench.record(catalog.COMMANDS, value, key=KEY))]

    assert [reply.status for reply in replies(outs)] == ["accepted", "accepted"]
    assert [reply.counts.applied for reply in replies(outs)] == [1, 10_000]


def test_a_command_for_another_shard_is_written_on_unchanged() -> None:
    configured = config(shard=0, control_partitions=2)
    bench = Bench(configured=configured)
    elsewhere = next(name for name in map(str, range(100)) if home(name, 2) == 1)
    value, headers = changed(spaceid=elsewhere), (("trace", b"x"),)

    (out,) = bench.handle(bench.record(catalog.COMMANDS, value, key=elsewhere.encode(), headers=headers))

    assert (out.topic, out.partition, out.key, out.value) == (catalog.COMMANDS, 1, elsewhere.encode(), value)
    assert out.headers == (*headers, ("usher-forwarded", b"1"))


def test_a_command_is_forwarded_once_only() -> None:
    bench = Bench(configured=config(shard=0, control_partitions=2))
    elsewhere = next(name for name in map(str, range(100)) if home(name, 2) == 1)
    headers = (("usher-forwarded", b"1"),)

    outs = bench.handle(
        bench.record(catalog.COMMANDS, changed(spaceid=elsewhere), key=elsewhere.encode(), headers=headers)
    )

    assert [code for code, _ in letters(outs)] == [codes.SPACE_MISMATCH.code]


@pytest.mark.parametrize("topic", [catalog.INTAKE_EVENTS, catalog.RESULTS, catalog.OUTCOMES], ids=str)
@pytest.mark.parametrize("value", [None, b"", b"nope", b'{"type":"riddle"}', b'{"type":"ticked"}'])
def test_an_unreadable_record_of_another_service_is_kept_and_passed(topic: str, value: bytes | None) -> None:
    bench = Bench().space()
    unreadable = bench.record(topic, value, key=KEY)

    outs = bench.handle(unreadable, bench.command("spaces.update", {"name": "n"}))

    assert [code for code, _ in letters(outs)] == [codes.RECORD_UNREADABLE.code]
    assert replies(outs)[0].status == "accepted"


def test_what_is_said_of_an_unknown_space_is_kept() -> None:
    bench = Bench()
    ticked = b'{"type":"ticked","space_id":"nowhere","partition":0,"partitions":3,"step":1,"at_ms":1}'

    outs = bench.handle(bench.record(catalog.RESULTS, ticked, key=b"nowhere"))

    assert [code for code, _ in letters(outs)] == [codes.SPACE_UNKNOWN.code]

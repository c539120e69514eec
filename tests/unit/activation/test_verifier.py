"""The verifier: every end of a question is an answer with a code that says who must act, and none holds a secret."""

import base64
import json
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from contracts import catalog, codec, codes
from contracts.messages.delivery import Verification, Verified
from contracts.messages.entities import Destination
from contracts.partitioning import space_partition
from contracts.records import Record, TopicPartition
from services.activation.verifier import EXCHANGE_SECONDS_MAX, Verifier
from services.runtime.failures import Rejected, Unavailable
from services.runtime.outlets import SchemaCheck, TopicCheck
from tests.unit.activation.lane_bench import START_MS, Answer, Bench, answer
from tests.unit.domain.delivery.making import SPACE, destination

PLACE = TopicPartition(catalog.VERIFICATIONS, 0)
CANARY = "c4n4ry"
SECRET = f"whsec_{base64.b64encode(f'{CANARY} of twenty-four bytes'.encode()).decode()}"
ENVIRONMENT = {"USHER_SECRET_SIGNING": SECRET, "USHER_SECRET_PASSWORD": CANARY, "USHER_SECRET_BAD": f"{CANARY} bad"}


def question(number: int = 1, destination_id: str = "des_1", until_ms: int = START_MS + 60_000) -> Record:
    asked = Verification(
        space_id=SPACE, verification_id=f"ver_{number}", destination_id=destination_id, until_ms=until_ms
    )
    return Record(PLACE.topic, 0, number, START_MS, SPACE.encode(), codec.encode(asked), ())


def answers(bench: Bench) -> list[Verified]:
    outs = [out for out in bench.producer.outs if out.topic == catalog.OUTCOMES]
    assert {out.partition for out in outs} <= {space_partition(SPACE, 2)}
    assert {codec.header(out.headers, "ce_type") for out in outs} <= {"verified"}
    return [codec.decode(out.value or b"", Verified) for out in outs]


async def asked(bench: Bench, *records: Record) -> list[Verified]:
    await Verifier(bench.ports).handle(PLACE, records or (question(),))
    return answers(bench)


def other(connector: str, settings: dict[str, object], secrets: dict[str, str]) -> Destination:
    return msgspec.structs.replace(destination(connector=connector, secrets=secrets), settings=settings)


SIGNED = destination(secrets={"signing": "env:USHER_SECRET_SIGNING"})
META = other("meta-audience", {}, {"access_token": "env:USHER_SECRET_PASSWORD"})
CRITEO = other("retail-media", {}, dict.fromkeys(("client_id", "client_secret"), "env:USHER_SECRET_PASSWORD"))
LOGIN = dict.fromkeys(("username", "password"), "env:USHER_SECRET_PASSWORD")
KAFKA = other("kafka", {"bootstrap_servers": "kafka.example.com:9092", "topic": "t"}, LOGIN)
POSTGRES = other("postgres", {"host": "db.example.com", "database": "d"}, LOGIN)


async def test_a_destination_that_answers_well_is_verified() -> None:
    bench = Bench([answer(204)], to=SIGNED, environment=ENVIRONMENT)
    (said,) = await asked(bench)
    assert (said.verification_id, said.destination_id, said.code, said.detail) == ("ver_1", "des_1", None, None)
    ((_, sent),) = bench.web.sent
    assert json.loads(sent.body)["type"] == "usher.verify"
    assert "webhook-signature" in sent.headers


async def test_a_disabled_one_is_verified_too() -> None:
    bench = Bench(to=destination(enabled=False))
    assert [one.code for one in await asked(bench)] == [None]


BAD: list[tuple[str, Destination, list[Answer], str]] = [
    ("refused credentials", SIGNED, [answer(401, CANARY.encode())], "delivery-authentication"),
    ("redirected", SIGNED, [answer(302, location=f"https://{CANARY}.example.com")], "delivery-redirected"),
    ("gone", SIGNED, [answer(410)], "delivery-destination-gone"),
    ("refused", SIGNED, [answer(400, CANARY.encode())], "delivery-permanent"),
    ("failing", SIGNED, [answer(500, CANARY.encode())], "delivery-unavailable"),
    ("no answer", SIGNED, [Unavailable("example.com: no whole answer in time")], "delivery-unavailable"),
    ("no TLS", SIGNED, [Unavailable("example.com: TLS: ClientConnectorCertificateError")], "delivery-unavailable"),
    ("a private address", SIGNED, [Rejected(codes.DELIVERY_ADDRESS_REFUSED, "no public address")], "delivery-address-refused"),
    ("no such secret", destination(secrets={"signing": "env:USHER_SECRET_NONE"}), [], "delivery-secret-unavailable"),
    ("no secret of that form", destination(secrets={"signing": "env:USHER_SECRET_BAD"}), [], "delivery-secret-unavailable"),
    ("a secret of somebody's", destination(secrets={"signing": "env:HOME"}), [], "secret-refused"),
    ("another secret's file", destination(secrets={"signing": "file:/etc/passwd"}), [], "secret-refused"),
    ("a connector of a later version", destination(connector="pigeon"), [], "connector-unknown"),
    ("settings of a later version", other("webhook", {"url": 7}, {}), [], "delivery-settings-invalid"),
    ("no token", CRITEO, [answer(400, CANARY.encode())], "delivery-authentication"),
    ("no token now", CRITEO, [answer(503)], "delivery-unavailable"),
    ("a token without consent", CRITEO, [answer(200, b'{"access_token":"t"}'), answer(200, b'{"data":[]}')], "delivery-authentication"),
    ("a permission is missing", META, [answer(200, b'{"data":[{"permission":"email","status":"granted"}]}')], "delivery-authentication"),
    ("other words", META, [answer(200, CANARY.encode())], "delivery-unavailable"),
]  # fmt: skip


@pytest.mark.parametrize(("to", "script", "code"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
async def test_every_bad_end_has_a_code_and_nothing_that_is_secret(
    to: Destination, script: list[Answer], code: str
) -> None:
    bench = Bench(script, to=to, environment=ENVIRONMENT)
    bench.web.otherwise = AssertionError("no request more")
    with capture_logs() as logs:
        (said,) = await asked(bench)
    assert said.code == code
    assert said.detail
    assert not bench.web.script
    shown = [*(str(log) for log in logs), *(repr(out) for out in bench.producer.outs)]
    assert not [text for text in shown if CANARY in text or SECRET.removeprefix("whsec_") in text]
    assert any(code in text for text in shown)


@pytest.mark.parametrize("to", [KAFKA, POSTGRES], ids=["kafka", "postgres"])
async def test_what_is_not_the_web_is_checked_and_carried_out_by_nobody(to: Destination) -> None:
    bench = Bench(to=to, environment=ENVIRONMENT)
    bench.outlets.script = [Rejected(codes.DELIVERY_AUTHENTICATION, "no"), Unavailable("away")]
    codes_said = [(await asked(bench))[-1].code for _ in range(3)]
    assert codes_said == ["delivery-authentication", "delivery-unavailable", None]
    (check,) = bench.outlets.checked
    assert isinstance(check, TopicCheck if to is KAFKA else SchemaCheck)
    assert not bench.outlets.done
    assert CANARY not in repr(check)


async def test_secrets_are_read_and_tokens_fetched_anew(tmp_path: Path) -> None:
    file = tmp_path / "token"
    to = other("retail-media", {}, dict.fromkeys(("client_id", "client_secret"), f"file:{file}"))
    bench = Bench(to=to, secrets_folder=tmp_path)
    fetched = answer(200, b'{"access_token":"t","expires_in":900}')
    good = answer(200, b'{"data":[{"id":"1"}]}')
    for secret in ("one", "two", "two"):
        file.write_text(secret)
        bench.web.script = [fetched, good]
        assert (await asked(bench))[-1].code is None
        _, grant = bench.web.sent[-2]
        assert f"client_secret={secret}".encode() in grant.body
    assert {request.timeout_seconds for _, request in bench.web.sent} == {EXCHANGE_SECONDS_MAX}


async def test_one_that_was_made_with_the_question_is_found() -> None:
    bench = Bench()
    bench.catalogue.arriving, bench.catalogue.present = bench.catalogue.present, None
    assert [one.code for one in await asked(bench)] == [None]


async def test_one_that_is_gone_is_told_so() -> None:
    bench = Bench()
    assert [one.code for one in await asked(bench, question(1, "des_2"))] == ["delivery-destination-unknown"]


async def test_a_question_that_nobody_waits_for_sends_nothing() -> None:
    bench = Bench()
    late = [question(1, until_ms=START_MS), question(2, until_ms=START_MS + 1)]
    assert [one.verification_id for one in await asked(bench, *late)] == ["ver_2"]
    assert len(bench.web.sent) == 1


async def test_what_is_no_question_becomes_a_dead_letter_and_its_neighbours_are_answered() -> None:
    bench = Bench()
    bad = msgspec.structs.replace(question(3), value=b'{"space_id":"acme"}')
    said = await asked(bench, question(1), bad, question(2))
    assert [one.verification_id for one in said] == ["ver_1", "ver_2"]
    assert bench.letter_codes() == [codes.DELIVERY_UNREADABLE.code]


async def test_the_answer_is_written_however_long_the_broker_is_away() -> None:
    bench = Bench()
    bench.producer.failing = 3
    assert len(await asked(bench)) == 1
    assert len(bench.web.sent) == 1

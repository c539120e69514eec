"""A broker that lets nobody in but by TLS and a password, and not to every topic: usher's own settings, and its words."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import CreateAclsRequest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from contracts.catalog import TopicSpec
from contracts.records import Out, TopicPartition
from deploy.local.processes import free_port
from deploy.local.state import StackState
from services.adapters.connect import open_kafka
from services.adapters.kafka import closing
from services.runtime.environment import load_settings
from services.runtime.failures import Fatal
from services.runtime.log import Log
from tests.broker.brokers import running_brokers

pytestmark = [pytest.mark.broker, pytest.mark.timeout(240)]

PASSWORD = "let me in"
_TOPIC, _LITERAL, _ALL, _ALLOW = 2, 3, 2, 3  # of Kafka's ACLs: kinds of resource and pattern, operation, permission

Opening = Callable[..., AbstractAsyncContextManager[Log]]
"""The log by the settings of the environment, which arguments change: `kafka_sasl_password=…`."""


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `authority.pem` of our own, and `broker.pem` with key and certificate."""
    folder = tmp_path_factory.mktemp("certificates")
    root_key, root = certificate("authority", None)
    key, signed = certificate("broker", (root_key, root))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "authority.pem").write_bytes(root.public_bytes(Encoding.PEM))
    (folder / "broker.pem").write_bytes(private + signed.public_bytes(Encoding.PEM))
    return folder


def certificate(
    name: str, issuer: tuple[ec.EllipticCurvePrivateKey, x509.Certificate] | None
) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    """For loopback, for an hour; of an authority that nobody stands above where there is no issuer."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    signer = key if issuer is None else issuer[0]
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer[1].subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(names, critical=False)
    )
    return key, builder.sign(signer, hashes.SHA256())


@pytest.fixture(scope="module")
def door(stack: StackState, certificates: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two addresses of one broker: for everybody who is here, who may everything; and for whom it asks."""
    if stack.process("kafka") is None:
        pytest.skip("the given Kafka is not ours to start another of")
    port = free_port()
    login = "org.apache.kafka.common.security.plain.PlainLoginModule"
    with running_brokers(tmp_path_factory.mktemp("door"), 1, lambda own: {
        "listeners": f"{own['listeners']},ASKING://127.0.0.1:{port}",
        "advertised.listeners": f"{own['advertised.listeners']},ASKING://127.0.0.1:{port}",
        "listener.security.protocol.map": f"{own['listener.security.protocol.map']},ASKING:SASL_SSL",
        "listener.name.asking.ssl.keystore.type": "PEM",
        "listener.name.asking.ssl.keystore.location": str(certificates / "broker.pem"),
        "listener.name.asking.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.asking.plain.sasl.jaas.config": f'{login} required user_usher="{PASSWORD}";',
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "allow.everyone.if.no.acl.found": "true",
    }) as brokers:  # fmt: skip
        yield brokers.bootstrap_servers, f"127.0.0.1:{port}"


@pytest.fixture
def opening(door: tuple[str, str], certificates: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Opening:
    """The right settings but for the password, which is in a file as an operator would have it."""
    monkeypatch.chdir(tmp_path)  # no stack of anybody's is here
    (tmp_path / "password").write_text(PASSWORD)

    @asynccontextmanager
    async def open_(**changed: str) -> AsyncIterator[Log]:
        right = {
            "kafka_bootstrap_servers": door[1],
            "kafka_security_protocol": "SASL_SSL",
            "kafka_sasl_mechanism": "PLAIN",
            "kafka_sasl_username": "usher",
            "kafka_sasl_password_file": str(tmp_path / "password"),
            "kafka_ssl_ca_file": str(certificates / "authority.pem"),
        }
        for name, value in {**right, **changed}.items():
            monkeypatch.setenv(f"USHER_{name.upper()}", value)
        async with open_kafka(load_settings(), client_id="tests") as log:
            yield log
        assert not closing.under_way(), "a socket would be left to whoever collects the garbage"

    return open_


def spec(name: str) -> TopicSpec:
    return TopicSpec(name=name, partitions=1, cleanup="delete", retention_ms=-1, max_message_bytes=1 << 20)


async def test_who_has_the_password_and_the_authority_does_all_there_is_to_do(opening: Opening) -> None:
    async with opening() as log:
        await log.ensure_topic(spec("open"))
        producer = await log.transactional_producer("one", timeout_seconds=60)
        await producer.begin()
        await producer.send([Out("open", b"k", b"v", (), 0)])
        await producer.commit({}, "group")
        assert await log.end_offsets([TopicPartition("open", 0)], committed_only=True) == {TopicPartition("open", 0): 2}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"kafka_sasl_password_file": "", "kafka_sasl_password": "wrong"}, "USHER_KAFKA_SASL_PASSWORD"),
        ({"kafka_sasl_mechanism": "SCRAM-SHA-512"}, "USHER_KAFKA_SASL_MECHANISM"),
        ({"kafka_ssl_ca_file": ""}, "USHER_KAFKA_SSL_CA_FILE"),
    ],
)
async def test_who_is_not_let_in_is_told_what_the_operator_must_do(
    opening: Opening, changed: dict[str, str], named: str
) -> None:
    async with opening(**changed) as log:
        for first in (log.partitions("open"), log.producer(), log.reader([TopicPartition("open", 0)])):
            with pytest.raises(Fatal, match="the operator must") as caught:
                await first
            assert named in str(caught.value)
            assert "wrong" not in str(caught.value)


async def test_a_topic_that_is_not_ours_is_named_and_others_go_on(opening: Opening, door: tuple[str, str]) -> None:
    async with opening() as log:
        for name in ("others", "ours"):
            await log.ensure_topic(spec(name))
        await only_for(door[0], "usher.others", "User:somebody")
        producer = await log.producer()
        reader = await log.reader([TopicPartition("ours", 0)])
        for denied in (
            lambda: producer.send([Out("others", None, b"v", (), 0)]),
            lambda: log.reader([TopicPartition("others", 0)]),
            lambda: log.partitions("others"),
        ):
            with pytest.raises(Fatal, match=r"others.*the operator must give"):
                await denied()
        await producer.send([Out("ours", None, b"v", (), 0)])
        reader.seek(TopicPartition("ours", 0), 0)
        assert [record.value for record in await reader.read(timeout_seconds=10)] == [b"v"]


async def only_for(servers: str, topic: str, principal: str) -> None:
    """From now on nobody else may do anything with the topic."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    request = CreateAclsRequest(_TOPIC, topic, _LITERAL, principal, "*", _ALL, _ALLOW)
    answer = await admin._send_request(request)
    await admin.close()
    assert [code for code, _ in answer.creation_responses] == [0], answer

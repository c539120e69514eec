"""One running system for all end-to-end tests; each has a space of its own in it, and ends with an audit of that."""

import itertools
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from deploy.local.state import StackState
from services.adapters.kafka import KafkaLog, KafkaSettings
from services.runtime.log import Log
from services.tools.receiver import Receiver, serving

# Before they are imported: their assertions explain themselves too.
pytest.register_assert_rewrite(
    "tests.broker.space", "tests.broker.chaos_laws", "tests.broker.chaos_user", "tests.broker.chaos_blocks"
)

from tests.broker.space import Space, own_space  # noqa: E402 - see above
from tests.broker.system import SECRET, System, running_system  # noqa: E402 - see above

_NUMBERS = itertools.count(1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def system(stack: StackState, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """The four services; tests kill them as they like and leave them running."""
    if not stack.sqs_endpoint_url:
        pytest.skip("no stack: the given S3 came without SQS, and so without notifications")
    async with running_system(stack, tmp_path_factory.mktemp("system")) as running:
        yield running
        assert await running.broken_promises() == []


@pytest.fixture
def space_name(request: pytest.FixtureRequest) -> str:
    """A name that no other test has, and that says whose it is."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower().removeprefix("test_"))
    return f"{words[:40].strip('-')}-{next(_NUMBERS)}"


@pytest_asyncio.fixture(loop_scope="session")
async def space(system: System, space_name: str) -> AsyncIterator[Space]:
    """An empty space with system time; every promise to it is audited at the end."""
    async with own_space(system, space_name) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="session")
async def receiver() -> AsyncIterator[tuple[Receiver, str]]:
    """A webhook receiver of one's own, and the URL to send to."""
    made = Receiver(secrets=[SECRET])
    async with serving(made) as url:
        yield made, f"{url}/hook"


@pytest_asyncio.fixture(loop_scope="session")
async def others(system: System) -> AsyncIterator[Log]:
    """The broker as others see it: no topic of theirs has usher's prefix."""
    servers = system.environment["USHER_KAFKA_BOOTSTRAP_SERVERS"]
    async with KafkaLog(KafkaSettings(bootstrap_servers=servers, prefix="", replication_factor=1)) as log:
        yield log


@pytest.fixture
def key(tmp_path: Path) -> tuple[Path, str]:
    """A private key in a file and its public key, as `openssl genpkey -algorithm ed25519` makes them."""
    made = Ed25519PrivateKey.generate()
    path = tmp_path / "key.pem"
    path.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return path, made.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

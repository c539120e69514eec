"""The objects that the ingest benchmarks read: gzip, caret, one row in `ROWS_PER_REJECT` refused; the same for a seed."""

import zlib
from collections.abc import Iterator
from random import Random
from typing import Final, Literal

import numpy as np

from contracts.messages.entities import Audience
from services.domain.rows import Form, Identities

Case = Literal["uuid", "sha256", "text"]
CASES: Final[tuple[Case, ...]] = ("uuid", "sha256", "text")
ID_TYPES: Final[dict[Case, str]] = {"uuid": "user_id", "sha256": "email_sha256", "text": "customer_id"}
ROWS_PER_REJECT: Final = 10_000
SPACE: Final = "bench"
SEED: Final = 20261123

_PART_ROWS: Final = 100_000
_AUDIENCES: Final = {"uuid": "spring-sale", "sha256": "autumn-sale"}
_TEXT_AUDIENCES: Final = tuple(f"segment {'of some length ' * (i % 3)}{i}" for i in range(20))
_NAMES: Final = ("anna", "bo", "christina", "dmitri", "elisabeth", "fatima", "george", "hiroshi", "ingrid", "jürgen")


def audiences(case: Case) -> list[Audience]:
    """Those that the rows of a case name."""
    names = _TEXT_AUDIENCES if case == "text" else (_AUDIENCES[case],)
    made = "2026-01-01T00:00:00.000Z"
    return [
        Audience(
            space_id=SPACE,
            audience_id=f"aud_{case}_{at}",
            name=name,
            kind="list",
            id_type=ID_TYPES[case],
            created_at=made,
            updated_at=made,
            created_step=1,
            step=1,
        )
        for at, name in enumerate(names)
    ]


def packed(case: Case, rows: int) -> bytes:
    """The object, as `gzip -1` makes it; `rows` divisible by `ROWS_PER_REJECT`."""
    packer = zlib.compressobj(1, wbits=31)
    return b"".join(packer.compress(part) for part in _parts(case, rows)) + packer.flush()


def _parts(case: Case, rows: int) -> Iterator[bytes]:
    random = Random(SEED)
    for first in range(0, rows, _PART_ROWS):
        lines = _lines(case, random, min(_PART_ROWS, rows - first))
        for at in range(ROWS_PER_REJECT // 2, len(lines), ROWS_PER_REJECT):
            identifier, _, audience = lines[at].partition(b"^")
            wrong = (b"%s^%s^x", b"%s", b"%s^nobody%.0s", b"%.0s^%s")[at // ROWS_PER_REJECT % 4]
            lines[at] = wrong % ((identifier, audience) if wrong.count(b"%") == 2 else (identifier,))
        yield b"\n".join(lines) + b"\n"


def _lines(case: Case, random: Random, count: int) -> list[bytes]:
    if case == "text":
        return [f"{_text(random)}^{random.choice(_TEXT_AUDIENCES)}".encode() for _ in range(count)]
    form = Form.UUID if case == "uuid" else Form.HEX32
    values = np.frombuffer(random.randbytes(count * form.width_bytes), dtype=np.uint8)
    identities = Identities.of_bytes(form, values.reshape(count, -1))
    return [f"{text}^{_AUDIENCES[case]}".encode() for text in identities.texts()]


def _text(random: Random) -> str:
    """Customer numbers, addresses, tokens of another system; one in a hundred not ASCII."""
    kind = random.random()
    if kind < 0.5:
        return f"customer-{random.getrandbits(random.choice((20, 30, 40)))}"
    if kind < 0.8:
        return (
            f"{random.choice(_NAMES[:-1])}.{random.getrandbits(24):x}@example.{random.choice(('com', 'org', 'co.uk'))}"
        )
    return f"{random.getrandbits(64):016x}" if kind < 0.99 else f"{_NAMES[-1]} {random.getrandbits(24)}"

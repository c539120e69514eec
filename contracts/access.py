"""Who may send what (decision 0023): permissions, the headers that name a sender, the bytes that are signed.

A signed command is structured, so that all of it stands in its value: `spaceid`, `id`, `source`, `type` and `time` are
signed with the data. The signature is Ed25519, in base64.
"""

from collections.abc import Mapping
from typing import Final

PRINCIPAL_HEADER: Final = "usher-principal"
SIGNATURE_HEADER: Final = "usher-signature"
OPERATOR: Final = "operator"
"""Who may everything in every space: no principal of a space has this name."""

ADMIN: Final = "admin"
READ: Final = "audiences:read"
PERMISSIONS: Final = (
    READ, "audiences:manage", "members:manage", "destinations:manage", "activations:manage", ADMIN,
)  # fmt: skip

_SCHEME: Final = b"usher-command-v1\n"  # so that nothing else which the key has signed is a command
_BY_KIND: Final[Mapping[str, str]] = {
    "audiences": "audiences:manage",
    "feeds": "audiences:manage",
    "imports": "audiences:manage",
    "members": "members:manage",
    "destinations": "destinations:manage",
    "connections": "destinations:manage",
    "activations": "activations:manage",
    "campaigns": "activations:manage",
    "spaces": ADMIN,
    "clock": ADMIN,
    "principals": ADMIN,
    "identities": ADMIN,
}


def permissions_for(command_type: str) -> frozenset[str]:
    """Each of these is enough to send a command of a known type; none is: only the operator may.

    Who may anything in a space may read all of it but its principals.
    """
    kind, _, verb = command_type.partition(".")
    if command_type == "spaces.create":
        return frozenset()
    if verb in {"get", "search", "statistics"} and kind != "principals":
        return frozenset(PERMISSIONS)
    return frozenset({_BY_KIND[kind], ADMIN})


def is_of_audiences(command_type: str) -> bool:
    """Whether who sees only some audiences may send it: it concerns them alone, or reads what is nobody's."""
    kind, _, verb = command_type.partition(".")
    if kind in {"destinations", "campaigns", "spaces"}:
        return verb in {"get", "search", "supported"}
    return kind in {"audiences", "members", "connections", "activations"}


def signed_bytes(value: bytes) -> bytes:
    """What the sender's key signs for a record with this value."""
    return _SCHEME + value

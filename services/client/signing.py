"""A sender's signature on its commands (decision 0023)."""

import base64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from contracts.access import PRINCIPAL_HEADER, SIGNATURE_HEADER, signed_bytes


class Signer:
    """Signs as a principal of the space that a command is for. `key` is its private key, PEM without a password."""

    def __init__(self, principal: str, key: bytes) -> None:
        """Raises `ValueError` where the key is no Ed25519 private key."""
        loaded = load_pem_private_key(key, None)
        if not isinstance(loaded, Ed25519PrivateKey):
            raise ValueError("the key is not Ed25519")  # noqa: TRY004 - what is wrong is the file
        self._key = loaded
        self._principal = principal

    @classmethod
    def from_file(cls, principal: str, path: Path) -> "Signer":
        """Raises `ValueError`, `OSError`."""
        return cls(principal, path.read_bytes())

    def headers(self, value: bytes) -> tuple[tuple[str, bytes], ...]:
        """What goes beside a structured command with this value."""
        signature = base64.b64encode(self._key.sign(signed_bytes(value)))
        return (PRINCIPAL_HEADER, self._principal.encode()), (SIGNATURE_HEADER, signature)

"""Public keys of principals: read once, used for every command that they sign."""

from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key


@lru_cache(maxsize=1024)
def public_key(pem: str) -> Ed25519PublicKey | None:
    """The key of a PEM text; None where it is no Ed25519 public key."""
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnicodeEncodeError):
        return None
    return key if isinstance(key, Ed25519PublicKey) else None

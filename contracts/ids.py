"""Identifiers: the forms they take, how control makes them, and what a canonical identity is.

`canonical` is the rule of contracts.md §1 for one value; `services.domain.rows.canonicalise` is the same rule for a
batch, and a property test holds the two together.
"""

import hashlib
import re
from functools import lru_cache
from typing import Final

ID_PATTERN: Final = re.compile(r"[a-z0-9_-]{1,64}")
IDENTIFIER_BYTES_MAX: Final = 256

HASH_HEX_DIGITS: Final[dict[str, int]] = {
    "email_sha256": 64,
    "email_sha1": 40,
    "email_md5": 32,
    "phone_sha256": 64,
}
DEVICE_ID_TYPES: Final = frozenset({"maid", "idfa", "aaid"})
ID_TYPES: Final = frozenset(
    {
        "kuid",
        "customer_id",
        "user_id",
        "anonymous_id",
        "identity_link",
        "gum",
        *HASH_HEX_DIGITS,
        *DEVICE_ID_TYPES,
    }
)

_UUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_HEX = re.compile(r"[0-9a-fA-F]+")


def is_id(text: str) -> bool:
    """Whether `text` can be an entity's id."""
    return ID_PATTERN.fullmatch(text) is not None


def made_id(prefix: str, *parts: str | int) -> str:
    """An id that is a function of its parts, so that replaying the commands makes the same ids."""
    return f"{prefix}_{made_digest(*parts).hex()[:20]}"


@lru_cache(maxsize=1)  # one item may make several ids
def made_digest(*parts: str | int) -> bytes:
    """32 bytes that are a function of the parts, for ids of other forms."""
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()


def canonical(id_type: str, value: str) -> str | None:
    """The canonical form of one identifier, or None where it has none.

    Trimmed; hex hashes lower-case and of the exact length; UUID-like ids lower-case with hyphens (32 bare hex digits
    only for device ids, since elsewhere they may be anything); anything else as sent, 1 to 256 bytes of UTF-8
    without control characters.
    """
    text = value.strip()
    digits = HASH_HEX_DIGITS.get(id_type)
    if digits is not None:
        return text.lower() if len(text) == digits and _HEX.fullmatch(text) else None
    if len(text) == 36 and _UUID.fullmatch(text):
        return text.lower()
    if id_type in DEVICE_ID_TYPES and len(text) == 32 and _HEX.fullmatch(text):
        low = text.lower()
        return f"{low[:8]}-{low[8:12]}-{low[12:16]}-{low[16:20]}-{low[20:]}"
    if not text or any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in text):
        return None
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # a lone surrogate
        return None
    return text if size <= IDENTIFIER_BYTES_MAX else None

"""E-mail addresses and phone numbers on their way to the hashes that usher keeps of them (contracts.md §1).

An address is trimmed and in lower case, with nothing folded, as most platforms want it; a number is its digits with
country code, without `+`. The vectors are those of reference/destinations.md §4.1.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Final

_EMAIL: Final = re.compile(r"[^\s@\x00-\x1f\x7f]{1,64}@[^\s@\x00-\x1f\x7f]{1,253}")
_PHONE: Final = re.compile(r"(?:\+|00)?([1-9][0-9]{6,14})")  # E.164: at most 15 digits
_PHONE_SPACING: Final = re.compile(r"\(0\)|[\s().\-/]")

RAW_OF: Final = {
    "email_sha256": "email",
    "email_sha1": "email",
    "email_md5": "email",
    "phone_sha256": "phone",
}
"""The raw id type that an id type is a hash of."""
RAW_ID_TYPES: Final = frozenset(RAW_OF.values())
_KEPT_AS: Final = {"email": "email_sha256", "phone": "phone_sha256"}


def kept_id_type(id_type: str) -> str:
    """The id type of what a feed keeps: a raw one becomes that of its SHA-256."""
    return _KEPT_AS.get(id_type, id_type)


def hashed(id_type: str, text: str) -> str | None:
    """The canonical identifier of a raw one, None where it is no e-mail address or no number with country code."""
    plain = _FORMS[RAW_OF[id_type]](text)
    if plain is None:
        return None
    digest = hashlib.new(id_type.rpartition("_")[2], usedforsecurity=False)
    digest.update(plain.encode(errors="surrogatepass"))
    return digest.hexdigest()


def email(text: str) -> str | None:
    """Trimmed and in lower case."""
    plain = text.strip().lower()
    return plain if _EMAIL.fullmatch(plain) else None


def phone(text: str) -> str | None:
    """Digits with country code. A national number (`06…`) says no country and has no form."""
    found = _PHONE.fullmatch(_PHONE_SPACING.sub("", text.strip()))
    return found.group(1) if found else None


_FORMS: Final[dict[str, Callable[[str], str | None]]] = {"email": email, "phone": phone}

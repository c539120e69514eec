"""What a checkpoint says of itself: of what it is the state, and which blobs it has. Written last, read first.

Owns the two versions. `FORMAT` is of the bytes; `FOLD_RULES` of the fold: raise it whenever the same log would make
other output, because a tail that was folded by other rules than those that replay it gives another state.
"""

from typing import Final

import msgspec
import xxhash

from contracts.records import Record
from services.domain.membership.checkpoint.packing import Damaged

FORMAT: Final = 1
FOLD_RULES: Final = 3


class Blob(msgspec.Struct, frozen=True):
    """An object beside the manifest. `checksum` is the XXH3-128 of its bytes, hexadecimal."""

    name: str
    size_bytes: int
    checksum: str


class Anchor(msgspec.Struct, frozen=True):
    """The last record folded: a log that has another one at its offset is another log of the same name."""

    offset: int
    checksum: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The state of `partition` of `partitions` of `topic` before `offset`. The first blob is the index.

    `taken_at_ms` is for people.
    """

    format: int
    fold_rules: int
    topic: str
    partition: int
    partitions: int
    offset: int
    anchor: Anchor
    taken_at_ms: int
    blobs: list[Blob]


class NewerFormat(Exception):  # noqa: N818 - not broken: this usher is too old for it
    """A newer usher wrote it."""

    def __init__(self, format_: int) -> None:
        super().__init__(f"format {format_}")
        self.format = format_


class _Envelope(msgspec.Struct):
    """The same in every format, so that a damaged manifest is never mistaken for a newer one."""

    checksum: str
    manifest: msgspec.Raw


class _Version(msgspec.Struct):
    format: int


_decode_envelope: Final = msgspec.json.Decoder(_Envelope).decode
_decode_version: Final = msgspec.json.Decoder(_Version).decode
_decode_manifest: Final = msgspec.json.Decoder(Manifest).decode


def encode_manifest(manifest: Manifest) -> bytes:
    """Its JSON, with its checksum."""
    body = msgspec.json.encode(manifest)
    return msgspec.json.encode(_Envelope(checksum_of(body), msgspec.Raw(body)))


def decode_manifest(body: bytes) -> Manifest:
    """Raises `Damaged`, or `NewerFormat` before anything of a whole one is looked at."""
    try:
        envelope = _decode_envelope(body)
        if envelope.checksum != checksum_of(bytes(envelope.manifest)):
            raise Damaged("the manifest has another checksum than it says")
        version = _decode_version(envelope.manifest).format
        if version > FORMAT:
            raise NewerFormat(version)
        return _decode_manifest(envelope.manifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged(f"the manifest can't be read: {error}") from None


def anchor_of(record: Record) -> Anchor:
    """What identifies the log that holds this record."""
    digest = xxhash.xxh3_128()
    parts = [record.key, record.value, *(part for name, text in record.headers for part in (name.encode(), text))]
    for part in parts:
        digest.update(b"-" if part is None else b"%d:" % len(part))
        digest.update(part or b"")
    return Anchor(record.offset, digest.hexdigest())


def checksum_of(body: bytes) -> str:
    """XXH3-128, hexadecimal."""
    return xxhash.xxh3_128_hexdigest(body)

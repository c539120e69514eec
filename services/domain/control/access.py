"""Who sends a command, and whether that sender may (decision 0023).

A sender is known by a signature, else by the topic that the command came by; never by what the command says of itself.
"""

import base64
import binascii
from dataclasses import replace
from typing import Final, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature

from contracts import codec, codes
from contracts.access import (
    OPERATOR,
    PRINCIPAL_HEADER,
    SIGNATURE_HEADER,
    is_of_audiences,
    permissions_for,
    signed_bytes,
)
from contracts.ids import made_id
from contracts.instants import parse_instant
from contracts.messages.entities import Audience, Principal
from contracts.records import Record
from services.domain.catalogue.entity_table import EntityTable
from services.domain.catalogue.keys import public_key
from services.domain.control.command import Command, Refused
from services.domain.control.config import CommandSenders

CLOCK_SKEW_MS: Final = 300_000


class Scope(NamedTuple):
    """The audiences that a principal sees: of these owners, in these folders; empty: of all, in all (decision 0030)."""

    owner_ids: frozenset[str]
    folder_ids: frozenset[str]

    def sees(self, audience: Audience) -> bool:
        """Whether it may be referred to, made, or become so."""
        by_owner = not self.owner_ids or audience.owner_id in self.owner_ids
        return by_owner and (not self.folder_ids or audience.folder_id in self.folder_ids)


class Sender(NamedTuple):
    """Who sends. `permissions` None: everything, in every space; `scope` None: all audiences."""

    name: str
    permissions: frozenset[str] | None
    scope: Scope | None = None

    @classmethod
    def of(cls, principal: Principal) -> "Sender":
        """A principal of a space."""
        scope = Scope(frozenset(principal.owner_ids), frozenset(principal.folder_ids))
        return cls(principal.principal_id, frozenset(principal.permissions), scope if any(scope) else None)

    def own(self, command: Command) -> Command:
        """The command under a source of the sender's own, so that no sender meets ids that another one's make."""
        if self.permissions is None:
            return command
        source = f"{self.name} {command.source}"
        return replace(command, source=source, remembered_id=made_id("cmd", source, command.id))


class Window(NamedTuple):
    """Between these instants a signed command's repeat would be known as one: outside it could take effect again."""

    begin_ms: int
    end_ms: int


class _Signed(msgspec.Struct, frozen=True):
    spaceid: str
    time: str


_decode_signed: Final = msgspec.json.Decoder(_Signed).decode


def sender_of(
    record: Record, command_senders: CommandSenders, principals: EntityTable[Principal], window: Window
) -> Sender:
    """Raises `Refused`(authorization-required, authorization-invalid)."""
    name = command_senders.get(record.topic)
    if codec.header(record.headers, SIGNATURE_HEADER) is not None:
        return _signer(record, principals, window)
    if name is None:
        raise Refused(codes.AUTHORIZATION_REQUIRED, "commands by this topic must be signed")
    if name == OPERATOR:
        return Sender(OPERATOR, None)
    principal = principals.find(name)
    if principal is None or not principal.enabled:
        raise Refused(codes.AUTHORIZATION_INVALID, f"the topic's principal {name} is none of this space")
    return Sender.of(principal)


def check_allowed(sender: Sender, command_type: str) -> None:
    """Raises `Refused`(authorization-denied)."""
    if sender.permissions is not None and not sender.permissions & permissions_for(command_type):
        raise Refused(codes.AUTHORIZATION_DENIED, f"{sender.name} may not {command_type}")
    if sender.scope is not None and not is_of_audiences(command_type):
        raise Refused(
            codes.AUTHORIZATION_DENIED, f"{sender.name}, who sees only some audiences, may not {command_type}"
        )


def _signer(record: Record, principals: EntityTable[Principal], window: Window) -> Sender:
    name = codec.header(record.headers, PRINCIPAL_HEADER) or ""
    principal = principals.find(name)
    if principal is None or not principal.enabled:
        raise Refused(codes.AUTHORIZATION_INVALID, "no such principal in this space")
    value = record.value or b""
    try:
        signature = base64.b64decode(codec.header(record.headers, SIGNATURE_HEADER) or "", validate=True)
        signed = _decode_signed(value)
    except (binascii.Error, ValueError, msgspec.MsgspecError, RecursionError):
        raise Refused(
            codes.AUTHORIZATION_INVALID, "a signed command is structured, with spaceid and time, its signature base64"
        ) from None
    if not any(_verified(key, signature, value) for key in principal.public_keys):
        raise Refused(codes.AUTHORIZATION_INVALID, f"the signature is by no key of {principal.principal_id}")
    at_ms = parse_instant(signed.time)
    if at_ms is None or not window.begin_ms <= at_ms <= window.end_ms:
        raise Refused(codes.AUTHORIZATION_INVALID, "time is too long ago, or yet to come")
    return Sender.of(principal)


def _verified(pem: str, signature: bytes, value: bytes) -> bool:
    key = public_key(pem)
    assert key is not None, "the catalogue takes no other"
    try:
        key.verify(signature, signed_bytes(value))
    except InvalidSignature:
        return False
    return True

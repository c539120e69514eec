"""The reply to a command, gathered item by item (contracts.md §3)."""

from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from contracts import codec
from contracts.codes import Code
from contracts.instants import instant_text
from contracts.messages.entities import CatalogueEntity, entity_id, entity_kind
from contracts.messages.published import Problem, Reply, ReplyCounts
from services.domain.catalogue.failed import Invalid
from services.domain.catalogue.forms import Forms
from services.domain.control.compression import compressed, decompressed


class _Short(msgspec.Struct):
    """What is left of the data of an item, and of each that a search has found, in a reply that would not fit."""

    item: object = UNSET
    space_id: object = UNSET
    audience_id: object = UNSET
    feed_id: object = UNSET
    destination_id: object = UNSET
    connection_id: object = UNSET
    activation_id: object = UNSET
    campaign_id: object = UNSET
    principal_id: object = UNSET
    import_id: object = UNSET
    snapshot_id: object = UNSET
    version: object = UNSET
    deleted: object = UNSET
    counts: object = UNSET
    total: object = UNSET
    offset: object = UNSET
    limit: object = UNSET
    results: list["_Short"] | UnsetType = UNSET


_short: Final = msgspec.json.Decoder(list[_Short])


class ItemAnswer(msgspec.Struct, frozen=True):
    """An item that took effect: `entity`, as it now stands, and `data` for the reply, and `warnings`.

    `waits_for_step`, `waits_for_verification`: what the reply has to wait for. `effect_ms`: when it shows and when it
    is expected to be live, None: both now.
    """

    data: dict[str, object] = {}
    warnings: tuple[tuple[Code, str], ...] = ()
    waits_for_step: int | None = None
    waits_for_verification: str | None = None
    effect_ms: tuple[int, int] | None = None
    entity: CatalogueEntity | None = None


@dataclass(slots=True)
class Answer:
    """Gathers; `reply` says it."""

    items: int
    trace_id: str
    forms: Forms
    data: list[Any] = field(default_factory=list)  # an object of each item, or its JSON
    errors: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    waits_for_step: int | None = None
    waits_for_verifications: dict[str, int] = field(default_factory=dict)  # and of which item each is
    effect_ms: tuple[int, int] = (0, 0)  # the latest of all items

    def applied(self, item: int, answer: ItemAnswer) -> None:
        """The item took effect."""
        self.data.append(self._data(item, answer))
        for code, detail in answer.warnings:
            self.warn(code, detail, item)
        if answer.waits_for_step is not None:
            self.waits_for_step = max(answer.waits_for_step, self.waits_for_step or 0)
        if answer.waits_for_verification is not None:
            self.waits_for_verifications[answer.waits_for_verification] = item
        if answer.effect_ms is not None:
            effective_ms, live_ms = answer.effect_ms
            self.effect_ms = max(effective_ms, self.effect_ms[0]), max(live_ms, self.effect_ms[1])

    def _data(self, item: int, answer: ItemAnswer) -> object:
        if answer.entity is None:
            return {"item": item, **answer.data}
        more = b"," + codec.encode(answer.data)[1:] if answer.data else b"}"
        return msgspec.Raw(b'{"item":%d,%b%b' % (item, self.forms.fields_of(answer.entity), more))

    def failed(self, code: Code, detail: str, item: int | None, invalid: Invalid | None = None) -> None:
        """The item did not take effect; None: something about the command as a whole."""
        made = problem(code, detail, item, self.trace_id)
        if invalid is not None:
            made = msgspec.structs.replace(made, valid=0, invalid=invalid.many, sample_invalid=invalid.sample)
        self.errors.append(made)

    def warn(self, code: Code, detail: str, item: int | None) -> None:
        """A remark on an item that took effect, or on the command as a whole."""
        self.warnings.append(problem(code, detail, item, self.trace_id))

    def reply(self, at_ms: int) -> Reply:
        """An accepted reply; with several items it says when the last of them shows."""
        failed = sum(1 for one in self.errors if one.item is not None)
        assert len(self.data) + failed == self.items, "every item ends in exactly one of applied, failed"
        return Reply(
            status="accepted",
            counts=ReplyCounts(items=self.items, applied=len(self.data), failed=failed),
            data=self.data,
            errors=self.errors,
            warnings=self.warnings,
            effective_at=instant_text(max(at_ms, self.effect_ms[0])),
            expected_live_at=instant_text(max(at_ms, self.effect_ms[1])),
            trace_id=self.trace_id,
        )


def rejected(code: Code, detail: str, at: str, trace_id: str) -> Reply:
    """The reply to a command of which nothing was understood."""
    return Reply(
        status="rejected",
        counts=ReplyCounts(),
        errors=[problem(code, detail, None, trace_id)],
        effective_at=at,
        expected_live_at=at,
        trace_id=trace_id,
    )


def problem(code: Code, detail: str, item: int | None, trace_id: str) -> Problem:
    """A failed item, or a remark on one."""
    instance = "@data" if item is None else f"@data/{item}"
    return Problem(
        item=item,
        code=code.code,
        type=code.type,
        instance=instance,
        title=code.title,
        detail=detail,
        trace_id=trace_id,
    )


def deleted_data(entity: CatalogueEntity) -> dict[str, object]:
    """What a reply says of an entity that is no more."""
    return {f"{entity_kind(entity)}_id": entity_id(entity), "version": entity.version, "deleted": True}


def entity_data(entity: CatalogueEntity) -> dict[str, object]:
    """The entity as it stands, for a reply that says more of it, or of several."""
    form: dict[str, object] = msgspec.to_builtins(entity)
    del form["kind_of_entity"]
    return form


class Said(NamedTuple):
    """A reply and its bytes, encoded once; `kept` are those that state remembers, empty where it keeps none."""

    reply: Reply
    body: bytes
    kept: bytes


def said(reply: Reply, *, bytes_max: int, kept_bytes_max: int | None) -> Said:
    """The reply, cut to ids, versions and codes where it would not fit into its record or, packed, into state.

    `kept_bytes_max` None: it is not kept.
    """
    whole = _said(reply, is_kept=kept_bytes_max is not None)
    if len(whole.body) <= bytes_max and (kept_bytes_max is None or len(whole.kept) <= kept_bytes_max):
        return whole
    cut = msgspec.structs.replace(
        reply,
        data=_short.decode(msgspec.json.encode(reply.data)),
        errors=[msgspec.structs.replace(one, detail="", sample_invalid=[]) for one in reply.errors],
        warnings=[msgspec.structs.replace(one, detail="") for one in reply.warnings],
    )
    return _said(cut, is_kept=kept_bytes_max is not None)


def _said(reply: Reply, *, is_kept: bool) -> Said:
    body = codec.encode(reply)
    return Said(reply, body, compressed(body) if is_kept else b"")


def packed(reply: Reply) -> bytes:
    """The form in which a reply is remembered."""
    return compressed(codec.encode(reply))


def unpacked(remembered: bytes) -> bytes:
    """The bytes of the reply as they were sent."""
    return decompressed(remembered)

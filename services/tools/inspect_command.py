"""`usher inspect`: where one identity stands and why, what one audience is made of, how far one partition is kept.

The state is as of each partition's committed offset, which is what was published (decisions/0013).
"""

from collections.abc import Iterable

import msgspec
from rich.console import RenderableType

from contracts.ids import canonical
from contracts.instants import instant_text
from services.domain.membership.inspection import AudienceAsked, IdentityAsked, PartitionAsked
from services.runtime.clock import SystemClock
from services.tools import inspect_lines, inspected
from services.tools.failed import CallFailed
from services.tools.inspect_state import Catalogue, asked, history, imports
from services.tools.inspected import Identity, WholeAudience
from services.tools.session import session


async def identity(space_id: str, id_type: str, text: str, *, as_json: bool) -> int:
    """Its audiences, layers and expiry, and what made it so."""
    async with session() as (_, log):
        catalogue = await Catalogue.read(log, space_id)
        identifier = _canonical(catalogue, space_id, id_type, text)
        (seen,) = (await asked(IdentityAsked(space_id=space_id, id_type=id_type, identifier=identifier))).seen
        past = await history(log, seen.partition, space_id, id_type, identifier)
        audiences = [inspected.audience_of_identity(one, catalogue.name_of(one.audience_id)) for one in seen.audiences]
        layers = [layer for one in audiences for layer in one.layers]
        named = {layer.import_id for layer in layers if layer.import_id} | {one.cause.id for one in past.events}
        found = await imports(log, space_id, named)
    shown = Identity(
        space_id=space_id,
        id_type=id_type,
        identifier=identifier,
        partition=seen.partition,
        offset=seen.offset,
        step=seen.step,
        at=instant_text(seen.at_ms),
        known=bool(seen.known),
        audiences=audiences,
        history=past,
        imports=found,
    )
    return _shown(shown, inspect_lines.identity(shown, catalogue.name_of), as_json=as_json)


async def audience(space_id: str, reference: str, *, as_json: bool) -> int:
    """Its size on each partition, and its layers by day."""
    async with session() as (_, log):
        one = (await Catalogue.read(log, space_id)).audience(reference)
        seen = (await asked(AudienceAsked(space_id=space_id, audience_id=one.audience_id))).seen
        parts = [part for partition in seen for part in partition.audiences]
        layers = inspected.layers_of(parts)
        found = await imports(log, space_id, {layer.import_id for layer in layers if layer.import_id})
    shown = WholeAudience(
        space_id=space_id,
        audience_id=one.audience_id,
        name=one.name,
        kind=one.kind,
        id_type=one.id_type,
        scheduled=any(part.scheduled for part in parts),
        size=sum(part.members for part in parts),
        partitions=[inspected.on_partition(partition, one.id_type) for partition in seen],
        layers=layers,
        imports=found,
    )
    return _shown(shown, inspect_lines.audience(shown), as_json=as_json)


async def partition(number: int, *, as_json: bool) -> int:
    """Its offsets and its checkpoints."""
    async with session():  # a Kafka that does not answer is told as everywhere
        stand = (await asked(PartitionAsked(partition=number))).stand
    assert stand is not None
    shown = inspected.stand_of(stand, SystemClock().now_ms())
    return _shown(shown, inspect_lines.partition(shown), as_json=as_json)


def _canonical(catalogue: Catalogue, space_id: str, id_type: str, text: str) -> str:
    known = catalogue.id_types()
    if id_type not in known:
        has = ", ".join(known) or "no audience"
        raise CallFailed(f"no audience of space {space_id} has identities of type {id_type!r}; it has: {has}")
    identifier = canonical(id_type, text)
    if identifier is None:
        raise CallFailed(f"{text!r} is no identifier of type {id_type}: no row and no command could have named it")
    return identifier


def _shown(found: msgspec.Struct, lines: Iterable[RenderableType], *, as_json: bool) -> int:
    if as_json:
        print(msgspec.json.encode(found).decode())
    else:
        inspect_lines.show(lines)
    return 0

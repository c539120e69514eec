"""`usher inspect` for a person: lines over tables. What is shown and why is decided in `inspected`."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from rich.console import Console, RenderableType
from rich.table import Table

from contracts.instants import instant_text
from contracts.messages.published import Import
from services.tools.inspected import Event, Identity, Layer, Stand, WholeAudience

_FOR_EVER = "stays"
_FILE_COLUMNS = 320  # where nobody has a window, lines are not folded: grep finds keys whole


def show(parts: Iterable[RenderableType]) -> None:
    """Prints them one below the other."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_FILE_COLUMNS)
    for part in parts:
        console.print(part, highlight=False, markup=False, soft_wrap=isinstance(part, str))


def identity(found: Identity, name_of: Callable[[str], str]) -> Iterable[RenderableType]:
    """Where it stands, then what made it so."""
    yield (
        f"{found.id_type} {found.identifier} of {found.space_id}: partition {found.partition}, step {found.step}, "
        f"{found.at}, before offset {found.offset}"
    )
    if not found.known:
        yield "unknown here: no row and no command ever named it"
    if found.audiences:
        rows = []
        for one in found.audiences:
            member = ("yes" if one.member else "no") + (", next run decides" if one.scheduled else "")
            leaves = one.leaves_at or (_FOR_EVER if one.kind == "list" else "as its parts say")
            layers = "; ".join(_layer(layer) for layer in one.layers) or one.kind
            rows.append((one.name, member, leaves, layers))
        yield _table(("audience", "member", "leaves", "layers"), rows)
    elif found.known:
        yield "in no audience"
    if found.history.events:
        events = [
            (one.at, str(one.step), one.change, name_of(one.audience_id), _cause(one, found.imports))
            for one in found.history.events
        ]
        yield _table(("at", "step", "change", "audience", "because of"), events)
    if found.history.kept_from is not None:
        yield f"changes before {found.history.kept_from} are gone (retention): what came earlier is not shown"


def audience(found: WholeAudience) -> Iterable[RenderableType]:
    """Its size per partition, and its layers by day."""
    scheduled = ", as of its latest run" if found.scheduled else ""
    yield (
        f"{found.kind} audience {found.name} ({found.audience_id}) of {found.space_id}: {found.size:,} members, "
        f"{found.id_type}{scheduled}"
    )
    yield _table(
        ("partition", "size", f"known {found.id_type}", "step", "before offset"),
        [
            (
                str(one.partition),
                "not defined yet" if one.size is None else f"{one.size:,}",
                f"{one.identities:,}",
                str(one.step),
                str(one.offset),
            )
            for one in found.partitions
        ],
    )
    if found.layers:
        yield _table(
            ("layer", "day", "members", "leaves", "from"),
            [
                (
                    one.kind,
                    one.day or "",
                    f"{one.members:,}",
                    one.leaves_at or _FOR_EVER,
                    _origin(one, found.imports),
                )
                for one in found.layers
            ],
        )


def partition(found: Stand) -> Iterable[RenderableType]:
    """How far it is folded and kept."""
    yield (
        f"partition {found.partition} of {found.partitions}: folded up to {found.committed_offset} of "
        f"{found.end_offset} ({found.lag_records:,} behind); the log begins at {found.begin_offset}"
    )
    if found.checkpoints is None:
        yield "no checkpoints: USHER_STATE_URL is not set, a restart replays the whole log"
        return
    if found.checkpoint_age_seconds is None:
        yield f"no checkpoint that can be read under {found.checkpoints_url}: a restart replays the whole log"
    else:
        yield (
            f"newest checkpoint {found.checkpoint_age_seconds:,.0f} s old: a restart replays "
            f"{found.checkpoint_behind_records:,} records; they lie under {found.checkpoints_url}"
        )
    if found.checkpoints:
        rows = [
            (
                str(one.offset),
                one.problem or instant_text(one.taken_at_ms or 0),
                "" if one.size_bytes is None else f"{one.size_bytes:,}",
            )
            for one in found.checkpoints
        ]
        yield _table(("checkpoint before offset", "taken at", "bytes"), rows)


def _layer(layer: Layer) -> str:
    words = f"{layer.kind} {layer.day}" if layer.day else layer.kind
    return words + (f" until {layer.leaves_at}" if layer.leaves_at else "")


def _origin(layer: Layer, imports: Mapping[str, Import]) -> str:
    words = "commands" if layer.kind == "added" else ""
    if layer.import_id is not None:
        words = _import(layer.import_id, imports)
    if layer.replaced_step is not None:
        words = f"{words or 'no import'}; replaced or cleared by command at step {layer.replaced_step}"
    return words


def _cause(event: Event, imports: Mapping[str, Import]) -> str:
    if event.cause.id in imports:
        return f"{event.cause.kind} {_import(event.cause.id, imports)}"
    return f"{event.cause.kind} {event.cause.id}"


def _import(import_id: str, imports: Mapping[str, Import]) -> str:
    found = imports.get(import_id)
    if found is None:
        return import_id
    what = found.object.key if found.object is not None else f"command {found.command_id}"
    return f"{import_id} ({what}, {found.state})"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    table = Table(*columns)
    for row in rows:
        table.add_row(*row)
    return table

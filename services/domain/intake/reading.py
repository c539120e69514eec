"""One reading of an import's object, or objects: bytes in, encoded row batches out, everything counted on the way.

inflate → blocks of lines → columns → audiences and canonical identifiers → partitions → wire. Pure and synchronous:
`services.intake.read` drives it in a thread, an item at a time, so that memory stays at a few blocks.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal

from contracts.messages.entities import FixedAudience
from contracts.messages.intake import ReadRequest, RowCounts
from services.domain.intake.audiences import Resolve
from services.domain.intake.batches import NamedAudiences, row_batches
from services.domain.intake.blocks import BLOCK_BYTES, ROW_BYTES_MAX, Blocks
from services.domain.intake.inflate import Inflate
from services.domain.intake.keys import path_audience
from services.domain.intake.parsers import Parsed, parser_of
from services.domain.intake.rejects import Rejects
from services.domain.intake.scattering import Scattering
from services.domain.rows import RowBatch, encode_rows

StageName = Literal["inflate", "parse", "canonicalise", "scatter"]


@dataclass(frozen=True, slots=True)
class EncodedRows:
    """One record: `value` is its wire form, `sequence` counts those of the reading on `partition` from 0."""

    partition: int
    sequence: int
    rows: int
    value: bytes


class Reading:
    """`feed` the object's chunks in order, drain each result, then drain `finish`; then the counts are whole.

    Of several objects `begin` each, and drain `end_object` after each but the last. `stage_ended` is told where a stage
    ends; it changes nothing, and who times them puts another in its place.
    """

    def __init__(
        self,
        request: ReadRequest,
        resolve: Resolve,
        partitions: int,
        *,
        inflate: Inflate | None = None,
        block_bytes: int = BLOCK_BYTES,
        row_bytes_max: int = ROW_BYTES_MAX,
    ) -> None:
        in_rows = request.audience_from == "column"
        self._named = NamedAudiences(resolve, None if in_rows else _fixed_audience(request, resolve))
        self._inflate = inflate or Inflate()
        self._new_blocks = partial(Blocks, block_bytes=block_bytes, row_bytes_max=row_bytes_max)
        self._new_parser = partial(
            parser_of,
            request.format,
            request.columns,
            id_type=request.id_type,
            audience_in_rows=in_rows,
            row_bytes_max=row_bytes_max,
        )
        self._blocks, self._parser = self._new_blocks(), self._new_parser()
        self._scattering = Scattering(partitions)
        self.stage_ended: Callable[[StageName], None] = _nobody_listens
        self._valid = 0
        self._audiences: set[str] = set()
        self.rejects = Rejects()
        self.plain_bytes = 0  # of the largest object that came uncompressed
        self.batches = [0] * partitions  # yielded for each partition, as the seals will say
        self.rows = [0] * partitions

    @property
    def counts(self) -> RowCounts:
        """Of what was read so far."""
        rejected = self.rejects.count
        return RowCounts(rows=self._valid + rejected, valid=self._valid, rejected=rejected)

    @property
    def audiences(self) -> list[str]:
        """The ids that at least one valid row names, sorted."""
        return sorted(self._audiences)

    def begin(self, key: str, inflate: Inflate) -> None:
        """What is fed next is of that object, from its beginning."""
        self._inflate, self._blocks, self._parser = inflate, self._new_blocks(), self._new_parser()
        self.rejects.begin(key)

    def feed(self, chunk: bytes) -> Iterator[list[EncodedRows]]:
        """The records that are full with this chunk; raises `ObjectRefused`."""
        for piece in self._inflate.feed(chunk):
            self.stage_ended("inflate")
            yield from self._text(piece)
        self.stage_ended("inflate")

    def end_object(self) -> Iterator[list[EncodedRows]]:
        """The rest of the object; raises `ObjectRefused`."""
        yield from self._text(self._inflate.finish())
        self.plain_bytes = max(self.plain_bytes, self._inflate.plain_bytes)
        yield self._encoded(self._parser.parse(self._blocks.finish(), last=True))

    def finish(self) -> Iterator[list[EncodedRows]]:
        """The rest; raises `ObjectRefused`."""
        yield from self.end_object()
        yield [self._record(*full) for full in self._scattering.finish()]

    def _text(self, piece: bytes) -> Iterator[list[EncodedRows]]:
        for block in self._blocks.feed(piece):
            if records := self._encoded(self._parser.parse(block, last=False)):
                yield records

    def _encoded(self, parsed: Parsed) -> list[EncodedRows]:
        self.stage_ended("parse")
        found, malformed = parsed
        batches, refused = [], malformed
        for columns in found:
            good, bad = row_batches(columns, self._named)
            assert sum(map(len, good)) + sum(len(rows.numbers) for rows in bad) == len(columns.numbers)
            batches += good
            refused = [*refused, *bad]
        self.rejects.add(refused)
        self._valid += sum(map(len, batches))
        self.stage_ended("canonicalise")
        records = [self._record(*full) for batch in batches for full in self._scattering.add(batch)]
        self.stage_ended("scatter")
        return records

    def _record(self, partition: int, batch: RowBatch) -> EncodedRows:
        sequence = self.batches[partition]
        self.batches[partition] += 1
        self.rows[partition] += len(batch)
        self._audiences.update(batch.audiences)
        return EncodedRows(partition, sequence, len(batch), encode_rows(batch))


def _fixed_audience(request: ReadRequest, resolve: Resolve) -> str | None:
    match request.audience_from:
        case FixedAudience(audience=reference):
            return resolve(reference)
        case _:
            folder = path_audience(request.prefix, request.object.key)
            return None if folder is None else resolve(folder)


def _nobody_listens(stage: StageName) -> None: ...

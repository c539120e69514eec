"""Resolves secret references (`env:NAME`, `file:/path`) to values when something is sent; keeps them a minute.

The only place that reads secrets of destinations, and only those that the operator has put aside for the space. Values
leave it as `Secret`; texts of errors name neither a value nor a reference.
"""

import asyncio
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Final

from services.runtime.clock import Clock
from services.runtime.secret import Secret, SecretUnavailable
from services.runtime.secret_references import ReferenceRefused, SecretFile, SecretReferences, Variable

KEPT_SECONDS: Final = 60.0  # so that a changed file counts soon, and a busy lane doesn't read it for each request
_FILE_BYTES_MAX: Final = 65_536


class SecretStore:
    """`environment` is what `env:` reads: `os.environ`."""

    def __init__(self, environment: Mapping[str, str], references: SecretReferences, *, clock: Clock) -> None:
        self._environment = environment
        self._references = references
        self._clock = clock
        self._kept: dict[Variable | SecretFile, tuple[float, Secret]] = {}

    async def resolve(self, space_id: str, references: Mapping[str, str]) -> dict[str, Secret]:
        """The secrets by name; raises `SecretUnavailable` for the first that can't be read.

        Raises `ReferenceRefused` where one is not of the space.
        """
        found = {name: self._references.found(reference, space_id) for name, reference in references.items()}
        return {name: await self._secret(name, place) for name, place in found.items()}

    def forget(self, space_id: str, references: Mapping[str, str]) -> None:
        """The next `resolve` of these, which have been resolved before, reads anew: what they were is refused."""
        for reference in references.values():
            self._kept.pop(self._references.found(reference, space_id), None)

    def credential(self, space_id: str, references: Mapping[str, str]) -> Hashable | None:
        """What stands for these secrets together, whoever refers to them; None where none can be referred to."""
        try:
            return frozenset(self._references.found(reference, space_id) for reference in references.values()) or None
        except ReferenceRefused:
            return None

    async def _secret(self, name: str, place: Variable | SecretFile) -> Secret:
        now = self._clock.monotonic_seconds()
        read_at, secret = self._kept.get(place, (float("-inf"), None))
        if secret is None or now - read_at >= KEPT_SECONDS:
            secret = await self._read(name, place)
            self._kept[place] = (now, secret)
        return secret

    async def _read(self, name: str, place: Variable | SecretFile) -> Secret:
        if isinstance(place, Variable):
            if place.name not in self._environment:
                raise SecretUnavailable(f"the secret {name!r}: no such environment variable in this worker")
            return Secret(self._environment[place.name])
        try:
            return Secret(await asyncio.to_thread(_file_text, place, Path(self._references.folder)))
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not a short text file in its folder"
            raise SecretUnavailable(f"the secret {name!r}: {reason}") from None


def _file_text(file: SecretFile, outermost: Path) -> str:
    """Raises `ValueError` for a link that leads out; a mounted Kubernetes secret is a link within its folder."""
    folder, path = Path(file.folder).resolve(strict=True), Path(file.path).resolve(strict=True)
    if not (folder.is_relative_to(outermost.resolve()) and path.is_relative_to(folder) and path.is_file()):
        raise ValueError
    with path.open("rb") as opened:
        content = opened.read(_FILE_BYTES_MAX + 1)
    if len(content) > _FILE_BYTES_MAX:
        raise ValueError
    return content.decode().strip()

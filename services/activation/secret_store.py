"""Resolves secret references (`env:NAME`, `file:/path`) to values when something is sent; keeps them a minute.

The only place that reads secrets of destinations. Values leave it as `Secret`, texts of errors name references only.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from services.runtime.clock import Clock
from services.runtime.secret import Secret, SecretUnavailable

KEPT_SECONDS: Final = 60.0  # so that a changed file counts soon, and a busy lane doesn't read it for each request
_FILE_BYTES_MAX: Final = 65_536


class SecretStore:
    """`environment` is what `env:` reads: `os.environ`."""

    def __init__(self, environment: Mapping[str, str], *, clock: Clock) -> None:
        self._environment = environment
        self._clock = clock
        self._kept: dict[str, tuple[float, Secret]] = {}

    async def resolve(self, references: Mapping[str, str]) -> dict[str, Secret]:
        """The secrets by name; raises `SecretUnavailable` for the first that can't be read."""
        return {name: await self._secret(name, reference) for name, reference in references.items()}

    def forget(self, references: Mapping[str, str]) -> None:
        """The next `resolve` of these reads anew: the destination refuses what they were."""
        for reference in references.values():
            self._kept.pop(reference, None)

    async def _secret(self, name: str, reference: str) -> Secret:
        now = self._clock.monotonic_seconds()
        read_at, secret = self._kept.get(reference, (float("-inf"), None))
        if secret is None or now - read_at >= KEPT_SECONDS:
            secret = await self._read(name, reference)
            self._kept[reference] = (now, secret)
        return secret

    async def _read(self, name: str, reference: str) -> Secret:
        scheme, _, rest = reference.partition(":")
        match scheme:
            case "env" if rest in self._environment:
                return Secret(self._environment[rest])
            case "env":
                raise SecretUnavailable(f"the secret {name!r}: no such environment variable in this worker")
            case "file":
                try:
                    return Secret(await asyncio.to_thread(_file_text, rest))
                except (OSError, ValueError) as error:
                    reason = error.strerror if isinstance(error, OSError) else "it is not a short text file"
                    raise SecretUnavailable(f"the secret {name!r}: {reason}") from None
            case _:
                raise SecretUnavailable(f"the secret {name!r} is not a reference (env:NAME or file:/path)")


def _file_text(path: str) -> str:
    with Path(path).open("rb") as file:
        content = file.read(_FILE_BYTES_MAX + 1)
    if len(content) > _FILE_BYTES_MAX:
        raise ValueError
    return content.decode().strip()

"""Which secrets the destinations of a space may refer to: what the operator has put aside for them, and nothing else.

Pure: control judges by it when a destination is saved, the secret store before it reads. Without it, whoever may save
a destination could have any variable or file of a worker sent to an address of his choice (decision 0021).
"""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

SECRETS_PREFIX: Final = "USHER_SECRET_"
SECRETS_FOLDER: Final = PurePosixPath("/etc/usher/secrets")
_NAME: Final = re.compile(r"[A-Za-z0-9]+(?:_[A-Za-z0-9]+)*")  # no `__`: it stands between a space and a name
_FILE_NAME: Final = re.compile(r"(?!\.)[\x21-\x2e\x30-\x7e]+")


@dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable of the worker."""

    name: str


@dataclass(frozen=True, slots=True)
class SecretFile:
    """A file that must be below `folder` when links are followed, and `folder` below the operator's."""

    folder: PurePosixPath
    path: PurePosixPath


class ReferenceRefused(Exception):  # noqa: N818 - named for what became of the reference
    """Not a secret of this space; the text says what is, and nothing of what was asked for: it may be the secret."""


@dataclass(frozen=True, slots=True)
class SecretReferences:
    """`prefix` begins the variables that may be referred to, `folder` holds the files.

    `<prefix>NAME` and `<folder>/NAME` are open to every space; `<prefix><SPACE>__NAME` (the id in upper case, `-` as
    `_`) and what is below `<folder>/<space id>/` to that space alone. An id with `_` in it has files only: its
    variables could be those of another.
    """

    prefix: str = SECRETS_PREFIX
    folder: PurePosixPath = SECRETS_FOLDER

    def found(self, reference: str, space_id: str) -> Variable | SecretFile:
        """What to read; raises `ReferenceRefused` where the space may not."""
        scheme, _, rest = reference.partition(":")
        if scheme == "env" and self._is_variable(rest, space_id):
            return Variable(rest)
        if scheme == "file":
            file = self._file(rest, space_id)
            if file is not None:
                return file
        raise ReferenceRefused(self._allowed(space_id))

    def _is_variable(self, name: str, space_id: str) -> bool:
        prefixes = [self.prefix] if "_" in space_id else [self.prefix, self.prefix + _of_space(space_id)]
        return any(name.startswith(one) and _NAME.fullmatch(name.removeprefix(one)) is not None for one in prefixes)

    def _file(self, text: str, space_id: str) -> SecretFile | None:
        start = f"{self.folder}/"
        parts = text.removeprefix(start).split("/")
        if not text.startswith(start) or not all(_FILE_NAME.fullmatch(part) for part in parts):
            return None
        if len(parts) == 1:
            return SecretFile(self.folder, self.folder / parts[0])
        return SecretFile(self.folder / space_id, self.folder.joinpath(*parts)) if parts[0] == space_id else None

    def _allowed(self, space_id: str) -> str:
        own = "" if "_" in space_id else f" or env:{self.prefix}{_of_space(space_id)}NAME"
        return (
            f"a secret is given by reference: env:{self.prefix}NAME{own}, "
            f"file:{self.folder}/NAME or file:{self.folder}/{space_id}/NAME"
        )


DEFAULT_REFERENCES: Final = SecretReferences()


def _of_space(space_id: str) -> str:
    return space_id.upper().replace("-", "_") + "__"

"""Reads `Settings` from the environment, its `…_FILE` twins and the local stack's file; names all mistakes at once."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError, field_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from services.runtime.settings import PREFIX, Settings, SettingsError, described, variable

STACK_FILE: Final = Path(".usher") / "stack.json"
_AWS: Final = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")

# One broker and two cores: what a stack on a laptop means where its file and the environment say nothing else.
_LOCAL: Final = {
    "topic_partitions_control": "2",
    "topic_partitions_membership": "4",
    "topic_partitions_intake": "2",
    "topic_partitions_deliveries": "2",
}


class _Mistake(str):
    """Stands in for a value that could not be had; its text says why."""

    __slots__ = ()


class _FromEnvironment(Settings, BaseSettings):
    model_config = SettingsConfigDict(env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_mistake(cls, value: Any) -> Any:
        assert not isinstance(value, _Mistake), str(value)
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - nothing is given in code
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - there are no such files
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - `…_FILE` is our form of it
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (
            InitSettingsSource(settings_cls, dict(_file_values())),
            env_settings,
            InitSettingsSource(settings_cls, _stack_values()),
        )


def load_settings() -> Settings:
    """The settings of this process; raises `SettingsError` with every mistake.

    Where the S3 of the local stack is used and no AWS credentials are in the environment, the stack's are put there,
    so that the usual AWS chain finds them.
    """
    try:
        settings = _FromEnvironment()  # type: ignore[call-arg]  # its arguments come from the sources
    except ValidationError as error:
        raise SettingsError(list(_mistakes(error))) from None
    _apply_stack_credentials(settings)
    return settings


def unknown_variables(settings: Settings) -> list[str]:
    """Environment variables with our prefix that mean nothing to us, and are no secrets of destinations."""
    known = {variable(field) for field in Settings.model_fields}
    ours = {name for name in os.environ if name.startswith(PREFIX) and not name.startswith(settings.secrets_prefix)}
    return sorted(name for name in ours if name not in known and name.removesuffix("_FILE") not in known)


def stack_state() -> dict[str, Any]:
    """What `usher stack up` wrote nearest above the working directory (`deploy.local.state`); {} where nothing is."""
    here = Path.cwd()
    for folder in (here, *here.parents):
        path = folder / STACK_FILE
        if path.is_file():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
            except ValueError as error:
                raise SettingsError([(str(path), f"is not JSON ({error}): `usher stack up` writes it anew")]) from None
            return found if isinstance(found, dict) else {}
    return {}


def _stack_values() -> dict[str, Any]:
    stack = stack_state()
    return _LOCAL | {name: stack[name] for name in Settings.model_fields if stack.get(name)} if stack else {}


def _file_values() -> Iterator[tuple[str, str]]:
    for field in Settings.model_fields:
        name = f"{variable(field)}_FILE"
        path = os.environ.get(name)
        if not path:
            continue
        if os.environ.get(variable(field)):
            yield field, _Mistake(f"set either {variable(field)} or {name}, not both")
            continue
        try:
            yield field, Path(path).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            yield field, _Mistake(f"{name}: {getattr(error, 'strerror', None) or error}: {path}")


def _apply_stack_credentials(settings: Settings) -> None:
    stack = stack_state()
    theirs = settings.s3_endpoint_url is not None and settings.s3_endpoint_url == stack.get("s3_endpoint_url")
    if theirs and not any(name in os.environ for name in (*_AWS, "AWS_PROFILE")):
        os.environ.update({name: stack[name.lower()] for name in _AWS if stack.get(name.lower())})


def _mistakes(error: ValidationError) -> Iterator[tuple[str, str]]:
    for problem in error.errors(include_url=False, include_context=False, include_input=False):
        field = str(problem["loc"][0])
        if problem["type"] == "missing":
            yield variable(field), f"is required: {described(field)}"
        else:
            yield variable(field), problem["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")

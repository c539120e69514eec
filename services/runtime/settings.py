"""What an operator may set (contracts.md §8): environment variables with the prefix `USHER_`, nothing else.

Every variable has a twin `…_FILE` that names a file with the value. Where neither is set, the local stack's
`.usher/stack.json` counts, then the default. `load_settings` names all mistakes at once; it is called by `lifecycle`
and the `usher` command. `Settings(...)` itself reads nothing around it, for tests and simulations.
"""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import NoDecode

from contracts.access import OPERATOR
from contracts.catalog import COMMANDS, REPLIES, PartitionSetting, topic_pages
from services.runtime.secret_references import SECRETS_FOLDER, SECRETS_PREFIX, SecretReferences

PREFIX: Final = "USHER_"

Port = Annotated[int, Field(ge=0, le=65_535)]
Partitions = Annotated[int, Field(ge=1, le=1024)]
_SERVER = re.compile(r"[^\s:,]+:\d{1,5}|\[[0-9a-fA-F:]+\]:\d{1,5}")
_COMMAND_TOPIC = re.compile(r"[a-zA-Z0-9._-]{1,180}(=[^\s,=]{1,256}|=(?==))?(=[a-zA-Z0-9._-]{1,180})?")
_NOTIFICATIONS = re.compile(r"kafka:[a-zA-Z0-9._-]{1,249}|sqs:https?://\S+")


class NotificationSource(BaseModel):
    """Where object notifications come from. `name` is a topic as the broker knows it, or a queue's URL."""

    model_config = ConfigDict(frozen=True)

    kind: Literal["kafka", "sqs"]
    name: str


class CommandTopic(BaseModel):
    """Where commands come from, and where their replies go. `principal` is whoever may write there, None: nobody by
    that alone.
    """

    model_config = ConfigDict(frozen=True)

    topic: str
    principal: str | None
    replies: str = REPLIES


def _command_topic(topic: str, principal: str = "", replies: str = REPLIES) -> CommandTopic:
    return CommandTopic(topic=topic, principal=principal or None, replies=replies)


class Settings(BaseModel):
    """All settings of all services, checked. None: the operator said nothing and there is no default."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, validate_default=True)

    kafka_bootstrap_servers: str = Field(description="host:port of at least one broker, comma-separated")
    kafka_security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    kafka_sasl_username: str | None = None
    kafka_sasl_password: SecretStr | None = None
    kafka_ssl_ca_file: str | None = Field(
        default=None, description="authorities' certificates (PEM); absent = the system's"
    )
    kafka_ssl_certificate_file: str | None = Field(
        default=None, description="our certificate (PEM) where brokers ask for one"
    )
    kafka_ssl_key_file: str | None = Field(default=None, description="the key of our certificate (PEM)")
    kafka_ssl_key_password: SecretStr | None = None

    topic_prefix: str = Field(
        default="usher", pattern=r"^[a-zA-Z0-9_-]{1,64}$", description="stands before each topic's name"
    )
    topic_replication_factor: int | None = Field(
        default=None, ge=1, le=100, description="absent = 3, or the number of brokers where there are fewer"
    )
    topic_partitions_control: Partitions = 8
    topic_partitions_membership: Partitions = 16
    topic_partitions_intake: Partitions = 8
    topic_partitions_deliveries: Partitions = 4
    instance_id: str | None = Field(
        default=None,
        pattern=r"^[a-zA-Z0-9._-]{1,200}$",
        description="the same over restarts, unique in a service (a pod's name): makes restarts fast",
    )

    s3_endpoint_url: str | None = Field(
        default=None, pattern=r"^https?://\S+$", description="an S3 that isn't Amazon's"
    )
    sqs_endpoint_url: str | None = Field(
        default=None, pattern=r"^https?://\S+$", description="an SQS that isn't Amazon's"
    )
    s3_region: str = "us-east-1"
    s3_bucket: str | None = Field(default=None, description="the bucket of feeds that name none, and of reject files")
    command_topics: Annotated[tuple[CommandTopic, ...], NoDecode] = Field(
        default=(CommandTopic(topic=COMMANDS, principal=OPERATOR),),
        min_length=1,
        description="topics of commands, without prefix, comma-separated: `topic=principal` for whom the topic's "
        "access rights stand (`operator` may everything), `topic` alone takes signed commands only; "
        "`topic=principal=replies`, `topic==replies`: their replies go to a topic of their own",
    )
    object_notifications: Annotated[tuple[NotificationSource, ...], NoDecode] = Field(
        default=(), description="kafka:<topic> or sqs:<queue url>, comma-separated"
    )
    object_bytes_max: int = Field(
        default=64 << 30, ge=1, description="objects larger than this, decompressed, are refused"
    )
    plain_object_bytes_max: int = Field(
        default=1_000_000_000,
        ge=0,
        description="uncompressed objects of this size and larger are read, and their imports carry a warning",
    )
    reconcile_seconds: float = Field(
        default=3600.0,
        ge=0,
        description="how often the prefixes of feeds are listed for objects that no notification told of; 0 = never",
    )
    reconcile_grace_seconds: float = Field(
        default=900.0, ge=0, description="objects younger than this are left to their notification"
    )
    state_url: str | None = Field(
        default=None, pattern=r"^s3://[^/\s]+(/\S*)?$", description="s3://bucket/prefix for checkpoints"
    )
    checkpoint_input_bytes: int = Field(
        default=128 << 20,
        ge=1,
        description="a checkpoint is written after so much input of a partition: 6 M rows, which a restart would "
        "otherwise replay in 3 s; large partitions wait for as much input as their checkpoint is large",
    )
    checkpoint_seconds: float = Field(
        default=600.0,
        gt=0,
        description="a checkpoint is written at the latest after this long, if there was any input: steps that are "
        "dear and small are replayed too",
    )

    allow_private_destinations: bool = Field(default=False, description="deliver to private and loopback addresses too")
    secrets_prefix: str = Field(
        default=SECRETS_PREFIX,
        pattern=r"^[A-Za-z][A-Za-z0-9_]*_$",
        description="begins the variables that secrets of destinations may refer to (`env:USHER_SECRET_NAME`)",
    )
    secrets_folder: str = Field(
        default=str(SECRETS_FOLDER),
        pattern=r"^(/[^/\x00]+)+$",
        description="the folder of the files that they may refer to; below it, `<space id>/` is that space's alone",
    )
    delivery_budget_seconds: float = Field(
        default=4 * 3600.0,
        gt=0,
        description="how long a failing destination is retried before it is parked and only probed",
    )
    delivery_probe_seconds: float = Field(
        default=300.0, gt=0, description="how often a parked destination is probed, at most"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    http_port: Port = Field(
        default=0, description="of /livez, /readyz, /metrics on all addresses; 0 = a free one, on loopback"
    )

    @field_validator("kafka_bootstrap_servers")
    @classmethod
    def _servers(cls, text: str) -> str:
        servers = [part.strip() for part in text.split(",") if part.strip()]
        wrong = [server for server in servers if not _SERVER.fullmatch(server)]
        if wrong or not servers:
            raise ValueError(f"not host:port: {', '.join(wrong) or 'empty'}")
        return ",".join(servers)

    @field_validator("kafka_sasl_username", "kafka_sasl_password")
    @classmethod
    def _sasl_is_whole(cls, value: Any, info: ValidationInfo) -> Any:
        if value is None and str(info.data.get("kafka_security_protocol", "")).startswith("SASL"):
            raise ValueError(f"is required with {PREFIX}KAFKA_SECURITY_PROTOCOL={info.data['kafka_security_protocol']}")
        return value

    @field_validator("kafka_ssl_key_file")
    @classmethod
    def _certificate_has_key(cls, value: str | None, info: ValidationInfo) -> str | None:
        if (value is None) != (info.data.get("kafka_ssl_certificate_file") is None):
            raise ValueError(f"goes together with {PREFIX}KAFKA_SSL_CERTIFICATE_FILE")
        return value

    @field_validator("secrets_prefix")
    @classmethod
    def _ours_are_no_secrets_of_destinations(cls, prefix: str) -> str:
        ours = next((variable(name) for name in cls.model_fields if variable(name).startswith(prefix)), None)
        if ours is not None:
            raise ValueError(f"would hand out {ours}")
        return prefix

    @field_validator("log_level", mode="before")
    @classmethod
    def _any_case(cls, value: Any) -> Any:
        return value.upper() if isinstance(value, str) else value

    @field_validator("object_notifications", mode="before")
    @classmethod
    def _sources(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        wrong = [part for part in parts if not _NOTIFICATIONS.fullmatch(part)]
        if wrong:
            raise ValueError(f"neither kafka:<topic> nor sqs:<queue url>: {', '.join(wrong)}")
        return tuple({"kind": part.partition(":")[0], "name": part.partition(":")[2]} for part in parts)

    @field_validator("command_topics", mode="before")
    @classmethod
    def _command_topics(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        parts = [part.strip() for part in value.split(",") if part.strip()]
        wrong = [part for part in parts if not _COMMAND_TOPIC.fullmatch(part)]
        topics = [part.partition("=")[0] for part in parts]
        if wrong or len(set(topics)) < len(topics):
            words = "not topic, topic=principal or topic=principal=replies, each topic once"
            raise ValueError(f"{words}: {', '.join(wrong or topics)}")
        read = [_command_topic(*part.split("=")) for part in parts]
        named = [one.replies for one in read if one.replies != REPLIES]
        own = [topic for topic in topics if topic != COMMANDS and topic in topic_pages()]
        if taken := own + [topic for topic in named if topic in topic_pages() or topic in topics]:
            raise ValueError(f"in use for something else: {', '.join(taken)}")
        if any(one.topic == COMMANDS and one.replies != REPLIES for one in read):
            raise ValueError(f"the replies to {COMMANDS} go to {REPLIES}, where usher's own tools look for them")
        return tuple(read)

    def partitions(self, setting: PartitionSetting) -> int:
        """How many partitions topics of that page setting have when usher makes them."""
        counts: dict[PartitionSetting, int] = {
            "control": self.topic_partitions_control,
            "membership": self.topic_partitions_membership,
            "intake": self.topic_partitions_intake,
            "deliveries": self.topic_partitions_deliveries,
        }
        return counts[setting]

    def secret_references(self) -> SecretReferences:
        """What secrets of destinations may refer to."""
        return SecretReferences(self.secrets_prefix, PurePosixPath(self.secrets_folder))

    def require(self, *fields: str) -> Self:
        """These settings too must be there for the service that calls; raises `SettingsError` for all that are not."""
        missing = [field for field in fields if not getattr(self, field)]
        if missing:
            raise SettingsError([(variable(field), f"is required: {described(field)}") for field in missing])
        return self


class SettingsError(Exception):
    """One or more settings are wrong: pairs of the environment variable and what is wrong with it."""

    def __init__(self, mistakes: Sequence[tuple[str, str]]) -> None:
        width = max(len(name) for name, _ in mistakes)
        lines = [f"  {name.ljust(width)}  {words}" for name, words in mistakes]
        super().__init__("\n".join([f"usher can't start: {len(mistakes)} wrong or missing setting(s)", *lines]))
        self.mistakes = tuple(mistakes)


def variable(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def described(field: str) -> str:
    """What an operator has to put there."""
    return Settings.model_fields[field].description or field.replace("_", " ")

"""What a running local stack is: its addresses, its test credentials, the processes that were started for it.

Owns `<root>/.usher/` as a layout and `stack.json` in it. Starts and ends nothing: that is `stack`.
Imports msgspec only, so that a command can find the stack without loading what runs it.
"""

from pathlib import Path

import msgspec


class StackError(Exception):
    """The local stack cannot be brought up or used; the message says what to do, and its reader must act."""


class Process(msgspec.Struct, frozen=True):
    """A process that `up` started. `started` tells it from a later process that was given the same pid."""

    name: str
    pid: int
    started: str


class StackState(msgspec.Struct, frozen=True, kw_only=True):
    """Where the parts of the stack listen. A part that `up` was given, not started, has no process here.

    `sqs_endpoint_url` and `object_notifications` are empty where the given S3 came without them.
    """

    kafka_bootstrap_servers: str
    s3_endpoint_url: str
    sqs_endpoint_url: str
    s3_region: str
    s3_bucket: str
    object_notifications: str
    state_url: str
    aws_access_key_id: str
    aws_secret_access_key: str
    processes: tuple[Process, ...] = ()
    containers: tuple[str, ...] = ()  # the engine's ids

    def process(self, name: str) -> Process | None:
        """The started process `kafka` or `s3`, or None if that part was given."""
        return next((process for process in self.processes if process.name == name), None)


class Layout:
    """The paths of one stack below `<root>/.usher/`."""

    def __init__(self, root: Path) -> None:
        self.folder = root.absolute() / ".usher"
        self.state = self.folder / "stack.json"
        self.lock = self.folder / "stack.lock"
        self.logs = self.folder / "logs"
        self.kafka = self.folder / "kafka"
        self.objects = self.folder / "objects.tar"
        self.spool = self.folder / "spool"

    def log(self, name: str) -> Path:
        """The log file of the process `name`; it is emptied by each start."""
        return self.logs / f"{name}.log"


def read_state(root: Path) -> StackState | None:
    """The state that the last `up` at `root` wrote and no `down` has removed; its processes may be dead.

    Raises StackError if the file is not one that this version wrote.
    """
    path = Layout(root).state
    try:
        return msgspec.json.decode(path.read_bytes(), type=StackState)
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, msgspec.ValidationError) as error:
        raise StackError(f"{path} is not readable ({error}); end its processes by hand and delete it") from error


def write_state(root: Path, state: StackState) -> None:
    """Replaces the state file at once: a reader sees the old one or the new one, never a part."""
    path = Layout(root).state
    part = path.with_suffix(".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(state), indent=2) + b"\n")
    part.replace(path)


def forget_state(root: Path) -> None:
    """Removes the state file: from now on there is no stack at `root`."""
    Layout(root).state.unlink(missing_ok=True)


def settings_of(state: StackState) -> dict[str, str]:
    """The environment that points a service, and the AWS credential chain, at the stack.

    What is empty in the state is left out, so that a given S3 keeps the caller's own settings.
    """
    settings = {
        "USHER_KAFKA_BOOTSTRAP_SERVERS": state.kafka_bootstrap_servers,
        "USHER_S3_ENDPOINT_URL": state.s3_endpoint_url,
        "USHER_SQS_ENDPOINT_URL": state.sqs_endpoint_url,
        "USHER_S3_REGION": state.s3_region,
        "USHER_S3_BUCKET": state.s3_bucket,
        "USHER_OBJECT_NOTIFICATIONS": state.object_notifications,
        "USHER_STATE_URL": state.state_url,
        "AWS_ACCESS_KEY_ID": state.aws_access_key_id,
        "AWS_SECRET_ACCESS_KEY": state.aws_secret_access_key,
        "AWS_DEFAULT_REGION": state.s3_region,
    }
    return {name: value for name, value in settings.items() if value}


def make_private_folder(path: Path) -> None:
    """Creates the folder for this user only: the stack has no passwords, its files are its only door."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o700)

"""Apache Kafka's jars: resolved once from the Maven repository, checked, kept in the user's cache.

`kafka.sha256` names every jar and its digest, in the form of `sha256sum`; another version of Kafka means a new list
(`python -m deploy.local.jars`). Knows nothing of a running broker. Called by `kafka`.
"""

import hashlib
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.local.state import StackError

KAFKA_VERSION = "4.3.1"
# "!" keeps that pom's dependency management out: log4j's would put another kafka-clients in Kafka's place.
COORDINATES = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4!",  # without it the broker dies in silence
)
_DIGESTS = Path(__file__).with_name("kafka.sha256")


def kafka_jars(say: Callable[[str], None], environ: Mapping[str, str] = os.environ) -> Path:
    """The folder with every jar of Kafka's class path; downloads what is missing, ~44 MB.

    The folder appears complete and checked or not at all. Raises StackError if the repository cannot be reached
    or serves other files than `kafka.sha256` names.
    """
    cache = Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "usher"
    folder = cache / f"kafka-{KAFKA_VERSION}"
    if folder.is_dir():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="kafka-", dir=cache) as work:
        complete = Path(work) / "jars"
        _download(complete, Path(work) / "repository", say)
        _check(complete)
        try:
            complete.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another `up` was faster, with the same files
                raise
    return folder


def digests_of(folder: Path) -> str:
    """One line a jar, sorted: the hex sha256, two spaces, the file name."""
    jars = sorted(folder.glob("*.jar"))
    return "".join(f"{hashlib.sha256(jar.read_bytes()).hexdigest()}  {jar.name}\n" for jar in jars)


def _download(folder: Path, repository: Path, say: Callable[[str], None]) -> None:
    # Half a second of imports that only a first run needs.
    import requests  # noqa: PLC0415 - see above
    from jgo.maven import MavenContext  # noqa: PLC0415 - see above

    say(f"Apache Kafka {KAFKA_VERSION}: resolving its jars (once)")
    folder.mkdir()
    try:
        context = MavenContext(repo_cache=repository, timeout=60)
        inputs, transitive = context.resolver.resolve([context.create_dependency(c) for c in COORDINATES])
        wanted = [*inputs, *transitive]
        size_bytes = 0
        for count, dependency in enumerate(wanted, 1):
            jar = Path(dependency.artifact.resolve())
            size_bytes += jar.stat().st_size
            shutil.move(jar, folder / jar.name)
            if count % 10 == 0 or count == len(wanted):
                say(f"Apache Kafka {KAFKA_VERSION}: {count} of {len(wanted)} jars, {size_bytes / 1e6:.0f} MB")
    except (requests.RequestException, RuntimeError) as error:
        # A network error's own text is a page of nested exceptions; the resolver's names the artifact.
        reason = type(error).__name__ if isinstance(error, requests.RequestException) else error
        raise StackError(
            f"cannot download Apache Kafka {KAFKA_VERSION} ({reason}): check the network, or proxy, and try again"
        ) from error


def _check(folder: Path) -> None:
    found, expected = set(digests_of(folder).splitlines()), set(_DIGESTS.read_text().splitlines())
    if found != expected:
        odd = "\n".join(sorted(found ^ expected))
        raise StackError(f"the repository served other jars than {_DIGESTS.name} names; they differ in:\n{odd}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        _download(Path(scratch) / "jars", Path(scratch) / "repository", lambda line: print(line, file=sys.stderr))
        _DIGESTS.write_text(digests_of(Path(scratch) / "jars"))

"""The cache of jars is complete and checked, or it is not there."""

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local import jars
from deploy.local.state import StackError

CONTENT = {"a-1.jar": b"a", "b-2.jar": b"b"}
DIGESTS = "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in CONTENT.items())
Download = Callable[[Path, Path, Callable[[str], None]], None]


def serving(content: dict[str, bytes], *, fails: BaseException | None = None) -> Download:
    """A repository that serves these files, and then fails if it is told to."""

    def download(folder: Path, repository: Path, say: Callable[[str], None]) -> None:
        folder.mkdir()
        for name, body in content.items():
            (folder / name).write_bytes(body)
        if fails is not None:
            raise fails

    return download


@pytest.fixture
def fetch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Download], Path]:
    """Fetches into a cache of its own, expecting CONTENT."""
    (tmp_path / "kafka.sha256").write_text(DIGESTS)
    monkeypatch.setattr(jars, "_DIGESTS", tmp_path / "kafka.sha256")

    def run(download: Download) -> Path:
        monkeypatch.setattr(jars, "_download", download)
        return jars.kafka_jars(lambda _: None, {"XDG_CACHE_HOME": str(tmp_path / "cache")})

    return run


def test_a_second_call_downloads_nothing(fetch: Callable[[Download], Path]) -> None:
    folder = fetch(serving(CONTENT))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == CONTENT
    assert fetch(serving({}, fails=AssertionError("no second download"))) == folder


@pytest.mark.parametrize(
    ("download", "error"),
    [
        (serving({"a-1.jar": b"a"}, fails=KeyboardInterrupt()), KeyboardInterrupt),
        (serving({}, fails=StackError("cannot download")), StackError),
        (serving({"a-1.jar": b"a"}), StackError),
        (serving(CONTENT | {"b-2.jar": b"not b"}), StackError),
        (serving(CONTENT | {"c-3.jar": b"c"}), StackError),
    ],
    ids=["interrupted", "unreachable", "one missing", "one altered", "one too many"],
)
def test_a_failed_download_leaves_nothing_and_the_next_one_succeeds(
    fetch: Callable[[Download], Path], tmp_path: Path, download: Download, error: type[BaseException]
) -> None:
    with pytest.raises(error):
        fetch(download)
    assert list((tmp_path / "cache" / "usher").iterdir()) == []
    assert fetch(serving(CONTENT)).is_dir()


def test_another_set_of_jars_is_refused_by_name(fetch: Callable[[Download], Path]) -> None:
    with pytest.raises(StackError, match=r"kafka\.sha256[\s\S]*b-2\.jar"):
        fetch(serving({"a-1.jar": b"a"}))


def test_the_list_in_the_repository_is_of_the_version_that_is_asked_for() -> None:
    lines = jars._DIGESTS.read_text().splitlines()
    assert all(len(line.split("  ")[0]) == 64 for line in lines)
    assert {f"kafka_2.13-{jars.KAFKA_VERSION}.jar", f"kafka-clients-{jars.KAFKA_VERSION}.jar"} <= {
        line.split("  ")[1] for line in lines
    }

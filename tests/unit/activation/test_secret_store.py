"""Reading secrets: only what lies where it is said to lie, links of Kubernetes followed and others not."""

import os
from pathlib import Path, PurePosixPath

import pytest

from services.activation.secret_store import KEPT_SECONDS, SecretStore
from services.runtime.secret import SecretUnavailable
from services.runtime.secret_references import ReferenceRefused, SecretReferences
from tests.unit.activation.lane_bench import JumpingClock


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The operator's folder, with a secret of everybody, one of `acme`, one of `other`, and one outside."""
    made = tmp_path / "secrets"
    for name in ("acme", "other"):
        (made / name).mkdir(parents=True)
        (made / name / "token").write_text(f"{name}'s\n")
    (made / "shared").write_text("everybody's")
    (tmp_path / "outside").write_text("nobody's")
    return made


async def read(folder: Path, path: str, space_id: str = "acme") -> str:
    store = SecretStore({}, SecretReferences(folder=PurePosixPath(folder)), clock=JumpingClock())
    return (await store.resolve(space_id, {"a": f"file:{folder}/{path}"}))["a"].reveal()


async def test_a_space_reads_its_own_and_what_is_everybodys(folder: Path) -> None:
    assert await read(folder, "acme/token") == "acme's"
    assert await read(folder, "shared") == "everybody's"
    with pytest.raises(ReferenceRefused):
        await read(folder, "other/token")


async def test_secrets_mounted_by_kubernetes_are_read(folder: Path) -> None:
    """A mounted secret is a link into `..data`, itself a link to a dated folder; both are in the mount."""
    for mount in (folder, folder / "mounted"):
        (mount / "..2026_11_23").mkdir(parents=True)
        (mount / "..2026_11_23" / "key").write_text("mounted")
        (mount / "..data").symlink_to("..2026_11_23")
        (mount / "key").symlink_to("..data/key")
    assert await read(folder, "key") == "mounted"
    assert await read(folder, "mounted/key", "mounted") == "mounted"


@pytest.mark.parametrize("target", ["../../outside", "../other/token", "/etc/hostname", "../acme", "nowhere", "."])
async def test_a_link_out_of_the_folder_or_to_no_file_is_not_read(folder: Path, target: str) -> None:
    (folder / "acme" / "link").symlink_to(target)
    with pytest.raises(SecretUnavailable) as caught:
        await read(folder, "acme/link")
    assert target not in str(caught.value)


async def test_a_space_whose_folder_leads_elsewhere_has_none(folder: Path) -> None:
    (folder / "third").symlink_to(folder.parent)
    with pytest.raises(SecretUnavailable):
        await read(folder, "third/outside", "third")


async def test_what_is_no_short_text_is_not_read(folder: Path) -> None:
    (folder / "acme" / "long").write_text("x" * 70_000)
    (folder / "acme" / "bytes").write_bytes(b"\xff\xfe")
    os.mkfifo(folder / "acme" / "pipe")  # reading it would wait for ever
    for name in ("long", "bytes", "pipe", "absent"):
        with pytest.raises(SecretUnavailable):
            await read(folder, f"acme/{name}")


async def test_what_one_space_has_read_is_not_kept_for_another(folder: Path) -> None:
    store = SecretStore(
        {"USHER_SECRET_ACME__A": "acme's"}, SecretReferences(folder=PurePosixPath(folder)), clock=JumpingClock()
    )
    wanted = {"a": "env:USHER_SECRET_ACME__A", "b": f"file:{folder}/acme/token"}
    assert {one.reveal() for one in (await store.resolve("acme", wanted)).values()} == {"acme's"}
    for name, reference in wanted.items():
        with pytest.raises(ReferenceRefused):
            await store.resolve("other", {name: reference})


async def test_a_changed_secret_counts_after_a_minute_or_when_the_old_one_is_refused(folder: Path) -> None:
    clock = JumpingClock()
    store = SecretStore({}, SecretReferences(folder=PurePosixPath(folder)), clock=clock)
    wanted = {"a": f"file:{folder}/acme/token"}

    async def now() -> str:
        return (await store.resolve("acme", wanted))["a"].reveal()

    await now()
    (folder / "acme" / "token").write_text("second")
    assert await now() == "acme's"
    clock.seconds += KEPT_SECONDS
    assert await now() == "second"
    (folder / "acme" / "token").write_text("third")
    store.forget("acme", wanted)
    assert await now() == "third"

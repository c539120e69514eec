"""Who may send commands, through real topics: by a topic of one's own, by a signature, and not otherwise."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from contracts import catalog, codec, codes
from contracts.messages.published import AuditRecord
from contracts.records import Record
from services.client import Client, Follower, Signer, opened
from tests.broker.space import Space

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

VIP = {"name": "vip", "kind": "list", "id_type": "kuid"}


async def _says(client: Client, space: Space, type_: str, item: Mapping[str, object]) -> list[str]:
    reply = await client.call(space.name, type_, [item])
    return [error.code for error in reply.errors]


async def test_by_a_topic_by_a_signature_and_not_otherwise(space: Space, key: tuple[Path, str]) -> None:
    path, public = key
    await space.send(
        "principals.create",
        {"name": "crm", "permissions": ["members:manage"]},
        {"name": "planner", "permissions": ["audiences:manage"], "public_keys": [public]},
    )
    log, signer = space.system.log, Signer.from_file("planner", path)
    add = {"audience": "vip", "identifiers": ["u1"]}
    async with (
        opened(log, topic="open.commands.v1") as nobody,
        opened(log, topic="desk.commands.v1", replies="desk.replies.v1") as crm,
        opened(log, topic="open.commands.v1", signer=signer) as planner,
    ):
        assert await _says(nobody, space, "audiences.create", VIP) == [codes.AUTHORIZATION_REQUIRED.code]
        assert await _says(crm, space, "audiences.create", VIP) == [codes.AUTHORIZATION_DENIED.code]
        assert await _says(planner, space, "audiences.create", VIP) == []
        renamed = {"audience": "vip", "name": "other"}
        assert await _says(crm, space, "audiences.update", renamed) == [codes.AUTHORIZATION_DENIED.code]
        assert await _says(planner, space, "members.add", add) == [codes.AUTHORIZATION_DENIED.code]
        assert await _says(crm, space, "members.add", add) == []
    await space.until("the member is there", lambda: space.members("vip") == {"u1"})

    done = await space.system.usher(
        "send", "-", "--topic", "open.commands.v1", "--principal", "planner", "--key", str(path),
        stdin=f'{{"type": "audiences.delete", "spaceid": "{space.name}", "data": {{"items": [{{"audience": "vip"}}]}}}}',
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert [(one.principal, one.command_type) for one in await _audited(space)] == [
        ("operator", "spaces.create"),
        ("operator", "principals.create"),
        ("operator", "principals.create"),
        ("planner", "audiences.create"),
        ("crm", "members.add"),
        ("planner", "audiences.delete"),
    ]


async def test_who_sees_only_audiences_of_an_owner(space: Space) -> None:
    scope = {"owner_ids": ["me"]}
    await space.send("principals.create", {"name": "crm", "permissions": ["admin"], **scope})
    await space.send("audiences.create", VIP | {"owner_id": "me"}, VIP | {"name": "theirs", "owner_id": "they"})
    async with opened(space.system.log, topic="crm.commands.v1") as crm:
        (page,) = (await crm.call(space.name, "audiences.search", [{}])).data
        assert page["total"] == 1
        add = {"audience": "theirs", "identifiers": ["u1"]}
        assert await _says(crm, space, "members.add", add) == [codes.NOT_FOUND.code]
        assert await _says(crm, space, "members.add", {**add, "audience": "vip"}) == []
        assert await _says(crm, space, "audiences.create", VIP | {"name": "n"}) == [codes.AUTHORIZATION_DENIED.code]
        assert await _says(crm, space, "feeds.search", {}) == [codes.AUTHORIZATION_DENIED.code]


async def _audited(space: Space) -> list[AuditRecord]:
    """The space's audit records, principals by name."""
    records: list[Record] = []
    follower = await Follower.open(space.system.log, [catalog.AUDIT], records.append, from_end=False)
    await follower.catch_up()
    await follower.close()
    found = [codec.decode(one.value or b"", AuditRecord) for one in records if one.key == space.name.encode()]
    names = {one.id: (one.after or {}).get("name") for one in found if one.kind == "principal"}
    return [msgspec.structs.replace(one, principal=str(names.get(one.principal, one.principal))) for one in found]

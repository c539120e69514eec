"""The Python client as a user's program uses it, against the running system."""

import asyncio
from contextlib import aclosing

import pytest

from contracts.messages.commands import AudienceCreate, MembersItem
from services.client import connect
from tests.broker.space import Space

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]


async def test_a_program_sends_commands_and_reads_who_entered_and_exited(
    space: Space, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in space.system.environment.items():
        monkeypatch.setenv(name, value)
    async with connect(source="/tests/program") as usher:
        created = await usher.call(
            space.name, "audiences.create", [AudienceCreate(name="vip", kind="list", id_type="kuid")]
        )
        failed = await usher.call(space.name, "members.add", [MembersItem(audience="gone", identifiers=["u1"])])
        await asyncio.gather(
            *(
                usher.call(space.name, "members.add", [MembersItem(audience="vip", identifiers=[f"u{number}"])])
                for number in range(20)
            )
        )
        await usher.call(space.name, "members.remove", [MembersItem(audience="vip", identifiers=["u0"])])
        read = []
        async with asyncio.timeout(30), aclosing(usher.changes(space=space.name, from_beginning=True)) as changes:
            async for change in changes:
                read.append(change)
                if len(read) == 21:
                    break

    assert (created.status, created.counts.applied, created.errors) == ("accepted", 1, [])
    assert [error.code for error in failed.errors] == ["not-found"]
    assert {one.audience_id for one in read} == {created.data[0]["audience_id"]}
    entered = {one.member for one in read if one.change == "entered"}
    assert entered == {f"u{number}" for number in range(20)}
    assert [one.member for one in read if one.change == "exited"] == ["u0"]
    assert len({(one.change_id, one.number) for one in read}) == 21

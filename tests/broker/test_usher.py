"""The `usher` command by hand, as a person types it: what it does, what it prints, and with which code it ends."""

import asyncio
import json
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from contracts import catalog, codes
from deploy.local.processes import free_port
from deploy.local.state import StackState
from tests.broker.space import Space, rows
from tests.broker.system import System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

SCENARIO = """
name: by hand
space: SPACE
start: 2026-01-01
audiences: [{name: a, kind: list, id_type: kuid}]
feeds: [{name: full, prefix: SPACE/full/, mode: replace, id_type: kuid, format: caret}]
days:
  - day: 1
    uploads: [{feed: full, rows: {a: "1..30"}}]
    expect: {a: SIZE}
"""
# Each page but those of patterns, and the topics of commands that the system's settings name besides.
ALL_TOPICS = set(catalog.topic_pages()) - catalog.PATTERN_PAGES | {
    "crm.commands.v1",
    "desk.commands.v1",
    "desk.replies.v1",
    "open.commands.v1",
}
Done = subprocess.CompletedProcess[str]


def is_one_clear_line(done: Done) -> bool:
    """What a person can act on: no traceback, and no more than a line for what went wrong."""
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return done.returncode == 1 and len(lines) == 1 and "Traceback" not in done.stderr + done.stdout


async def test_topics_creates_verifies_and_says_what_differs(system: System) -> None:
    prefix = f"t-{uuid.uuid4().hex[:8]}"

    environment = {"USHER_TOPIC_PREFIX": prefix}
    made = await system.usher("topics", "--json", environment=environment)
    again = await system.usher("topics", environment=environment)
    environment |= {"USHER_TOPIC_PARTITIONS_CONTROL": "3"}
    other = await system.usher("topics", "--json", environment=environment)

    assert (made.returncode, again.returncode, other.returncode) == (0, 0, 1)
    assert set(json.loads(made.stdout)["created"]) == ALL_TOPICS
    assert again.stdout.startswith("0 topics created, 0 differ")
    differing = json.loads(other.stdout)["differing"]
    assert catalog.COMMANDS in differing
    assert "partitions" in differing[catalog.COMMANDS][0]
    assert catalog.INPUT not in differing


async def test_topics_can_be_printed_for_those_who_make_them_elsewhere(system: System) -> None:
    printed = await system.usher("topics", "--print", "--json")
    rights = await system.usher("topics", "--acls")

    names = {json.loads(line)["name"] for line in printed.stdout.splitlines()}
    assert {name.removeprefix(f"{system.bucket}.") for name in names} == ALL_TOPICS
    assert all(line.startswith("User:usher-") for line in rights.stdout.splitlines())


async def test_send_put_tail_and_audit(space: Space, system: System, tmp_path: Path) -> None:
    lines = [
        {"type": "audiences.create", "data": {"items": [{"name": "a", "kind": "list", "id_type": "kuid"}]}},
        {"type": "feeds.create", "data": {"items": [{"name": "f", "source": {"kind": "s3", "prefix": f"{space.prefix}f/"},
            "mode": "replace", "id_type": "kuid", "format": "caret"}]}},
    ]  # fmt: skip
    sent = await system.usher(
        "send", "-", stdin="\n".join(json.dumps(line | {"spaceid": space.name}) for line in lines)
    )
    assert sent.returncode == 0, sent.stderr
    assert [json.loads(line)["status"] for line in sent.stdout.splitlines()] == ["accepted"] * 2

    file = tmp_path / "buyers.txt"
    file.write_bytes(rows("a", range(3)))
    put = await system.usher("put", str(file), f"{space.prefix}f/buyers.txt")
    assert (put.returncode, put.stdout.strip()) == (0, f"s3://{system.bucket}/{space.prefix}f/buyers.txt")
    assert (await space.ended(f"{space.prefix}f/buyers.txt")).state == "applied"

    tail = ("--from-beginning", "--for", "2")
    shown, *tailed = await asyncio.gather(
        system.usher("tail", "changes", *tail),
        *(system.usher("tail", what, *tail, "--json") for what in ("changes", "imports", "replies", "sizes")),
    )
    for done in tailed:
        assert done.returncode == 0, done.stderr
        assert any(space.name in json.dumps(json.loads(line)) for line in done.stdout.splitlines()), done.args
    assert re.search(rf"{space.name}/\S+ step \d+ entered u00000\d", shown.stdout)

    audited = await system.usher("audit", "--json")
    assert audited.returncode == 0
    assert json.loads(audited.stdout)["lines"] == []


async def test_inspect_says_what_is_kept_and_why(space: Space, system: System) -> None:
    await space.audiences("a")
    await space.feed("f", mode="append", lookback_days=3)
    imported = await space.put_and_import("f/buyers.txt", rows("a", range(1, 4)))
    (added,) = await space.send("members.add", {"audience": "a", "id_type": "kuid", "identifiers": ["u000003"]})
    await space.import_ended(added["import_id"])

    who = (space.name, "kuid", "u000003")
    shown, answered, whole, stand, wrong_type, wrong_audience = await asyncio.gather(
        system.usher("inspect", "identity", *who),
        system.usher("inspect", "identity", *who, "--json"),
        system.usher("inspect", "audience", space.name, "a", "--json"),
        system.usher("inspect", "partition", "0", "--json"),
        system.usher("inspect", "identity", space.name, "maid", "u000003"),
        system.usher("inspect", "audience", space.name, "nobody"),
    )

    found = json.loads(answered.stdout)
    (audience,) = found["audiences"]
    assert (audience["name"], audience["member"], audience["leaves_at"]) == ("a", True, None), "a command added it"
    assert [layer["kind"] for layer in audience["layers"]] == ["dated", "added"]
    assert audience["layers"][0]["import_id"] == imported.import_id
    (event,) = found["history"]["events"]
    assert (event["change"], event["cause"]) == ("entered", {"kind": "import", "id": imported.import_id})
    assert found["imports"][imported.import_id]["object"]["key"] == f"{space.prefix}f/buyers.txt"
    assert f"{space.prefix}f/buyers.txt" in shown.stdout
    counted = json.loads(whole.stdout)
    assert counted["size"] == sum(part["size"] for part in counted["partitions"]) == 3
    assert [(layer["kind"], layer["members"]) for layer in counted["layers"]] == [("dated", 3), ("added", 1)]
    assert json.loads(stand.stdout)["committed_offset"] > 0
    for wrong, words in ((wrong_type, "it has: kuid"), (wrong_audience, "'nobody'")):
        assert is_one_clear_line(wrong), wrong.stderr
        assert words in wrong.stderr


async def test_send_ends_with_1_where_an_item_failed(space: Space, system: System) -> None:
    unknown = {"type": "audiences.delete", "spaceid": space.name, "data": {"items": [{"audience": "nobody"}]}}

    failed, nonsense, missing = await asyncio.gather(
        system.usher("send", "-", stdin=json.dumps(unknown)),
        system.usher("send", "-", stdin='{"type": "audiences.delete"}\nnot JSON\n'),
        system.usher("send", "/nowhere/commands"),
    )

    assert (failed.returncode, nonsense.returncode) == (1, 1)
    assert json.loads(failed.stdout)["errors"][0]["code"] == codes.NOT_FOUND.code
    assert nonsense.stderr.splitlines()[0] == "a command needs `type` and `spaceid`"
    assert nonsense.stderr.splitlines()[1].startswith("not a JSON object")
    assert is_one_clear_line(missing)


async def test_play_ends_with_1_where_expected_and_actual_differ(
    system: System, space_name: str, tmp_path: Path
) -> None:
    right, wrong = tmp_path / "right.yaml", tmp_path / "wrong.yaml"
    right.write_text(SCENARIO.replace("SPACE", f"{space_name}-r").replace("SIZE", "30"))
    wrong.write_text(SCENARIO.replace("SPACE", f"{space_name}-w").replace("SIZE", "31"))

    played = await system.usher("play", str(right))
    again = await system.usher("play", str(right), "--json")
    differs = await system.usher("play", str(wrong))

    assert played.returncode == 0, played.stdout + played.stderr
    assert (
        json.loads(again.stdout.splitlines()[-1])["space"] == f"{space_name}-r"
    )  # day 1 is not over: it goes on there
    assert differs.returncode == 1
    assert "DIFFERS" in differs.stdout
    assert await system.broken_promises() == []


async def test_play_refuses_what_is_no_scenario(system: System, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO.replace("uploads", "uplaods"))

    misspelt, missing = await asyncio.gather(system.usher("play", str(file)), system.usher("play", "/nowhere.yaml"))

    assert is_one_clear_line(misspelt), misspelt.stderr
    assert f"{file}: Object contains unknown field `uplaods`" in misspelt.stderr
    assert is_one_clear_line(missing), missing.stderr


async def test_stack_status(system: System, stack: StackState, stack_root: Path, tmp_path: Path) -> None:
    absent = await system.usher("stack", "status", folder=tmp_path)
    assert (absent.returncode, absent.stdout) == (1, "there is no local stack: `usher stack up` starts one\n")
    assert (await system.usher("stack", "down", folder=tmp_path)).stdout == "there was no local stack\n"
    if stack.processes:
        present = await system.usher("stack", "status", "--json", folder=stack_root)
        assert present.returncode == 0
        assert json.loads(present.stdout)["parts"] == {"kafka": "running", "s3": "running"}


async def test_a_kafka_that_is_down_is_one_clear_line(system: System, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text(SCENARIO.replace("SPACE", "x").replace("SIZE", "1"))
    nobody = f"127.0.0.1:{free_port()}"
    calls = [("topics",), ("audit",), ("tail", "changes", "--for", "1"), ("send", "-"), ("play", str(file))]

    ended = await asyncio.gather(
        *(system.usher(*call, stdin="{}", environment={"USHER_KAFKA_BOOTSTRAP_SERVERS": nobody}) for call in calls)
    )

    for done in ended:
        assert is_one_clear_line(done), (done.args, done.returncode, done.stdout, done.stderr)
        assert nobody in done.stderr


async def test_an_s3_that_is_down_is_one_clear_line(system: System, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")

    ended = await asyncio.gather(
        system.usher("put", str(file), "x/y", environment={"USHER_S3_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}),
        system.usher("put", str(tmp_path / "nothing"), "x/y"),
        system.usher("put", str(file), "x/y", "--bucket", "nowhere"),
    )

    for done in ended:
        assert is_one_clear_line(done), (done.args, done.stderr)


async def test_without_settings_and_stack_a_call_says_what_to_do(system: System, tmp_path: Path) -> None:
    done = await system.usher("audit", folder=tmp_path, environment={"USHER_KAFKA_BOOTSTRAP_SERVERS": ""})

    assert done.returncode == 1
    assert "USHER_KAFKA_BOOTSTRAP_SERVERS" in done.stderr
    assert "usher stack up" in done.stderr
    assert "Traceback" not in done.stderr

"""Fault 69 from outside: identifiers and secrets are planted wherever they may enter, and looked for in all that leaves.

What carries identities does so in its values, and the original of a dead letter is its value; no key but theirs, no
header, and nothing else anywhere may hold one. A secret is nowhere at all.
"""

import re

import pytest

from contracts import catalog
from contracts.codec import header
from contracts.records import Out, Record
from services.client import Follower
from services.tools.receiver import Behaviour, Receiver, serving
from services.tools.topics import SERVICES
from tests.broker.space import Space, rows
from tests.broker.system import SECRET, SECRET_REFERENCE, System

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

IDENTIFIERS = [f"c4n4ry-{number:03}" for number in range(30)]
CANARY = b"c4n4ry"
NEVER_A_SECRET = "c4n4ry-given-as-it-is"
SECRETS = [SECRET.encode(), SECRET.removeprefix("whsec_").encode(), b"a secret of tests"]
CARRIES_IDENTITIES = {
    catalog.COMMANDS, catalog.INPUT, catalog.CHANGES, catalog.DEAD_LETTERS, catalog.INTAKE_REQUESTS,
}  # fmt: skip
CLOSED = "127.0.0.1:1"
UNREACHABLE = {
    "kafka": {"bootstrap_servers": CLOSED, "topic": "t", "sasl_mechanism": "PLAIN", "tls": False},
    "postgres": {"host": "127.0.0.1", "port": 1, "database": "d", "tls": False},
    "files": {"bucket": "audiences", "endpoint_url": f"http://{CLOSED}"},
}
NAMED = {
    "kafka": ("username", "password"),
    "postgres": ("username", "password"),
    "files": ("access_key_id", "secret_access_key"),
}


class Watch:
    """Every record that is written from now on, and what of it should not be."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def shown(self) -> list[str]:
        """Places, never contents: this too ends up in a log."""
        found: set[str] = set()
        for record in self.records:
            beside = b"\n".join(name.encode() + b"=" + (text or b"") for name, text in record.headers)
            value, key = record.value or b"", record.key or b""
            if record.topic == catalog.REPLIES:  # to whoever has sent it, and to nobody else
                value = re.sub(rb'"sample_invalid":\[[^]]*\]', b"", value)
            places = {"headers": beside} if record.topic in CARRIES_IDENTITIES else {"headers": beside, "value": value}
            if record.topic not in {catalog.CHANGES, catalog.INPUT}:
                places["key"] = key
            kind = header(record.headers, "ce_type") or header(record.headers, "dlq-code")
            found |= {
                f"{record.topic} {kind}: a canary in the {name}" for name, text in places.items() if CANARY in text
            }
            if any(secret in value + key + beside for secret in SECRETS):
                found.add(f"{record.topic} {kind}: a secret")
        return sorted(found)


async def wrong_destinations(space: Space, url: str) -> list[str]:
    """Activations whose destinations repeat what they got, refuse our credentials, or can't be reached."""
    secrets = {"signing": SECRET_REFERENCE}
    for name in ("echoes", "refuses"):
        await space.destination(name, url, settings={"url": f"{url}/hook"}, secrets=secrets)
    for connector, settings in UNREACHABLE.items():
        given = dict.fromkeys(NAMED[connector], SECRET_REFERENCE)
        await space.destination(connector, url, connector=connector, settings=settings, secrets=given)
    names = ["echoes", "refuses", *UNREACHABLE]
    for name in names:
        await space.send("activations.create", {"name": name, "audience": "a", "destination": name})
    return names


async def test_what_is_planted_is_seen_nowhere_but_where_it_belongs(space: Space, system: System) -> None:
    watch, receiver = Watch(), Receiver()
    follower = await Follower.open(
        system.log, [name for name in catalog.topic_pages() if name not in catalog.PATTERN_PAGES], watch.records.append,
        from_end=True,
    )  # fmt: skip
    receiver.behave([
        Behaviour(status=413, body=IDENTIFIERS[0], headers={"X-Said": IDENTIFIERS[0]}, times=2),
        Behaviour(status=401, body=f"{IDENTIFIERS[0]} {SECRET}", times=None),
    ])  # fmt: skip
    await space.audiences("a", "b")
    refused = await space.ask(
        "destinations.create",
        {
            "name": "x",
            "connector": "webhook",
            "settings": {"url": "https://a.example"},
            "secrets": {"k": NEVER_A_SECRET},
        },
        {"name": "y", "connector": "webhook", "settings": {"url": "https://a.example"}, "secrets": {"k": "env:c4n4ry"}},
    )
    assert [one["code"] for one in refused["errors"]] == ["field-invalid", "secret-refused"]
    async with serving(receiver) as url:
        names = await wrong_destinations(space, url)
        await space.send("members.add", {"audience": "a", "identifiers": IDENTIFIERS[:10]})
        await space.ask("members.add", {"audience": "a", "identifiers": ["c4n4ry\x00", "c4n4ry" * 50]})
        await space.ask("members.add", {"audience": "nobody", "identifiers": IDENTIFIERS})
        producer = await system.log.producer()
        await producer.send([Out(catalog.COMMANDS, space.name.encode(), b'{"identifiers":["c4n4ry-001"]', ())])
        await producer.close()
        await space.feed("f")
        await space.put_and_import("f/good", rows("a", IDENTIFIERS[5:20]))
        await space.put_and_import(
            "f/bad", rows("b", IDENTIFIERS) + b"c4n4ry-999\n" + b'"c4n4ry^b\n' + b"c4n4ry\xff^b\n"
        )
        await space.send("members.remove", {"audience": "a", "identifiers": IDENTIFIERS[5:7]})
        await space.until("each has failed", lambda: all(_error(space, name) for name in names))
        tried = await space.ask("destinations.verify", *({"destination": name} for name in names))
        assert len(tried["errors"]) == len(names)
        for name in names:
            await space.send("activations.delete", {"id": space.observed.id_of("activation", name)})
            await space.send("destinations.delete", {"name": name})
    await follower.catch_up()
    await follower.close()

    assert len(watch.records) > 50
    assert watch.shown() == []
    for service in SERVICES:
        _, metrics = await system.answer(service, "/metrics")
        said = f"{system.log_of(service)}\n{metrics}".encode()
        assert not [canary for canary in (CANARY, *SECRETS) if canary in said], service


def _error(space: Space, name: str) -> bool:
    status = space.observed.activations.get(space.observed.id_of("activation", name))
    return status is not None and status.last_error is not None

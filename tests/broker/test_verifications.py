"""`destinations.verify` from outside: asked of control, tried by activation, answered once, whatever waits in queues."""

import asyncio

import pytest

from contracts import codec
from services.tools.receiver import Receiver, serving
from tests.broker.space import Space
from tests.broker.system import SECRET_REFERENCE

pytestmark = [pytest.mark.broker, pytest.mark.asyncio(loop_scope="session")]

DEAD = "http://127.0.0.1:9/hook"
OTHER_SECRET = "whsec_b3RoZXIgdGhhbiB0aGUgc2VjcmV0IG9mIHRlc3Rz"


async def test_who_can_be_reached_and_lets_us_in_is_told_apart(space: Space, receiver: tuple[Receiver, str]) -> None:
    got, url = receiver
    signing = {"signing": SECRET_REFERENCE}
    await space.audiences("a")
    await space.destination("dead", DEAD)
    await space.send("activations.create", {"name": "x", "audience": "a", "destination": "dead"})
    await space.send("members.add", {"audience": "a", "identifiers": ["u1"]})  # waits in the queue for ever
    await space.destination("good", url, secrets=signing, enabled=False)
    await space.destination("empty", url, secrets={"signing": "env:USHER_SECRET_NOT_THERE"})
    async with serving(Receiver(secrets=[OTHER_SECRET])) as elsewhere:
        await space.destination("strange", f"{elsewhere}/hook", secrets=signing)
        names = ("good", "dead", "empty", "strange", "nobody")

        reply = await space.ask("destinations.verify", *({"destination": name} for name in names))

    (well,), (good,) = reply["data"], await space.send("destinations.get", {"destination": "good"})
    assert (well["item"], well["destination_id"]) == (0, good["destination_id"])
    assert well["verified"] is True
    assert well["latency_ms"] >= 0
    assert [(one["item"], one["code"]) for one in reply["errors"]] == [
        (1, "delivery-unavailable"),
        (2, "delivery-secret-unavailable"),
        (3, "delivery-authentication"),
        (4, "not-found"),
    ]
    assert reply["counts"] == {"items": 5, "applied": 1, "failed": 4}
    assert got.received.counters["entered"] == 0
    told, refused = await asyncio.gather(
        *(space.system.usher("destinations", "verify", space.name, name) for name in ("good", "dead"))
    )
    assert (told.returncode, refused.returncode) == (0, 1)
    assert told.stdout.startswith("good: verified in ")
    assert refused.stdout.startswith("dead: delivery-unavailable: ")
    await space.catch_up()
    types = [codec.header(one.headers, "ce_type") for one in space.replies if space.name.encode() == one.key]
    assert types.count("destinations.verify.reply") == 3

"""How many requests a second go out together, by destinations and by credentials."""

from msgspec.structs import replace

from contracts.messages.entities import Destination
from services.activation.rates import Rates
from services.activation.secret_store import SecretStore
from services.runtime.secret_references import SecretReferences
from tests.unit.activation.lane_bench import Bench, JumpingClock
from tests.unit.domain.delivery.making import delivery, destination

TOKEN = {"token": "env:USHER_SECRET_TOKEN"}


def rates(queue_partitions: int = 1) -> Rates:
    return Rates(queue_partitions, SecretStore({}, SecretReferences(), clock=JumpingClock()).credential)


def named(name: str, **more: object) -> Destination:
    return replace(destination(**more), destination_id=name, queue=f"q-{name}")  # type: ignore[arg-type]  # as it is


def waits(of: Rates, *asked: tuple[Destination, float | None]) -> list[float]:
    """How long each has to wait who asks at once."""
    return [of.reserve(to, rate, 0.0) for to, rate in asked]


def test_destinations_with_the_same_secret_are_together_no_faster_than_one() -> None:
    one, other = named("one", secrets=TOKEN), named("other", secrets={"renamed": TOKEN["token"]})

    assert waits(rates(), (one, 4.0), (other, 4.0), (one, 4.0)) == [0.0, 0.25, 0.5]


def test_a_slower_one_of_them_takes_a_larger_share() -> None:
    slow, fast = named("slow", secrets=TOKEN), named("fast", secrets=TOKEN)

    assert waits(rates(), (slow, 1.0), (fast, 4.0), (slow, 1.0), (fast, 4.0)) == [0.0, 1.0, 1.25, 2.25]


def test_others_have_buckets_of_their_own() -> None:
    files = named("files", secrets=TOKEN, connector="files")
    space = replace(named("one", secrets=TOKEN), space_id="other")
    forbidden = named("forbidden", secrets={"token": "file:/etc/passwd"})
    private = named("private", secrets={"token": "env:USHER_SECRET_ACME__TOKEN"})
    of = rates()
    each = [named("one", secrets=TOKEN), named("two"), named("three"), files, private, forbidden]

    assert waits(of, *((to, 1.0) for to in each)) == [0.0] * len(each)
    assert waits(of, (space, 1.0)) == [1.0], "what is everybody's is one credential in all spaces"


def test_without_a_limit_nobody_waits() -> None:
    assert waits(rates(), *[(named("one"), None)] * 3) == [0.0] * 3


def test_a_worker_takes_the_share_of_the_lanes_that_it_has() -> None:
    of, to = rates(queue_partitions=4), named("one")
    of.joined(to.queue)
    assert waits(of, *[(to, 4.0)] * 2) == [0.0, 1.0]
    for _ in range(3):
        of.joined(to.queue)
    assert of.reserve(to, 4.0, 10.0) == 0.0
    assert of.reserve(to, 4.0, 10.0) == 0.25
    for _ in range(3):
        of.left(to.queue)
    assert [of.reserve(to, 4.0, 20.0) for _ in range(2)] == [0.0, 1.0]


async def test_the_lanes_of_a_worker_keep_to_it_together() -> None:
    limits = {"items_per_request": 1, "requests_per_second": 4}
    bench = Bench(to=destination(limits=limits))
    bench.ports.rates.reserve(destination(), 2.0, 0.0)  # another lane of the destination has just sent

    await bench.deliver(delivery(1, "add", ["a", "b"]))

    assert [at for at, _ in bench.web.sent] == [0.5, 0.75]

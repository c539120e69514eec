"""The view of the catalogue: look-ups, and that nothing asked after `caught_up` is missed."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.catalog import CATALOGUE
from contracts.messages.entities import (
    Audience,
    CatalogueEntity,
    Feed,
    Source,
    Space,
    catalogue_key,
)
from contracts.records import Out
from services.adapters.memory import Act, Faults, MemoryBroker
from services.runtime.catalogue_index import CatalogueIndex
from services.runtime.catalogue_view import CatalogueView
from services.runtime.failures import Fatal, Unavailable
from services.runtime.health import Health
from services.runtime.log import Log
from tests.conformance.harness import eventually
from tests.unit.runtime.machine import FastClock, Flaky, topics

AT = "2026-01-01T00:00:00.000Z"


def audience(space_id: str, id: str, name: str, **external_ids: str) -> Audience:
    return Audience(
        space_id=space_id,
        audience_id=id,
        name=name,
        external_ids=external_ids,
        kind="list",
        id_type="kuid",
        created_at=AT,
        updated_at=AT,
        created_step=1,
        step=1,
    )


def feed(space_id: str, id: str, prefix: str, *, bucket: str | None = None, enabled: bool = True) -> Feed:
    return Feed(
        space_id=space_id,
        feed_id=id,
        name=id,
        source=Source(kind="s3", bucket=bucket, prefix=prefix),
        mode="replace",
        id_type="kuid",
        enabled=enabled,
        created_at=AT,
        updated_at=AT,
    )


def filled(*entities: CatalogueEntity) -> CatalogueIndex:
    index = CatalogueIndex()
    for entity in entities:
        index.put(catalogue_key(entity), entity)
    return index


def test_a_reference_is_an_id_else_an_external_id_else_a_name() -> None:
    named = audience("s", "aud_1", "both")
    external = audience("s", "aud_2", "x", crm="both")
    ided = audience("s", "both", "y")
    assert filled(named, external, ided).resolve(Audience, "s", "both") is ided
    assert filled(named, external).resolve(Audience, "s", "both") is external
    assert filled(named).resolve(Audience, "s", "both") is named
    assert filled(named).resolve(Audience, "other", "both") is None
    assert filled(named).resolve(Feed, "s", "both") is None
    assert filled(named).get(Audience, "s", "both") is None


def test_what_an_entity_was_called_before_names_it_no_more() -> None:
    before = audience("s", "aud_1", "before", crm="1")
    index = filled(before, audience("s", "aud_1", "after", crm="2"))
    assert index.resolve(Audience, "s", "before") is None
    assert index.resolve(Audience, "s", "1") is None
    assert index.resolve(Audience, "s", "after") is not None
    index.put("s/audience/aud_2", taker := audience("s", "aud_2", "after"))
    index.remove("s/audience/aud_1")
    assert index.resolve(Audience, "s", "after") is taker
    assert index.resolve(Audience, "s", "2") is None
    assert list(index.all(Audience)) == [taker]


def test_for_each_space_the_feed_with_the_longest_prefix() -> None:
    index = filled(
        feed("a", "wide", "up/"),
        feed("a", "narrow", "up/full/"),
        feed("b", "other", "up/f", bucket="elsewhere"),
        feed("c", "off", "up/full/x/", enabled=False),
        feed("d", "named", "up/", bucket="home"),
        audience("a", "up/", "up/"),
    )

    def found(bucket: str, key: str) -> list[str]:
        return [one.feed_id for one in index.feeds_for(bucket, key, default_bucket="home")]

    assert found("home", "up/full/x/2026-01-01/a.csv") == ["narrow", "named"]
    assert found("home", "up/incr/a.csv") == ["wide", "named"]
    assert found("elsewhere", "up/full/a.csv") == ["other"]
    assert found("home", "down/a.csv") == []
    assert found("home", "up") == []
    index.remove("a/feed/narrow")
    assert found("home", "up/full/a.csv") == ["wide", "named"]


@given(st.lists(st.text("ab/", max_size=4), max_size=8), st.text("ab/", max_size=8))
def test_the_longest_prefix_against_a_naive_search(prefixes: list[str], key: str) -> None:
    feeds = [feed("s", f"f{number}", prefix) for number, prefix in enumerate(dict.fromkeys(prefixes))]
    naive = max((one for one in feeds if key.startswith(one.source.prefix or "")), key=_length, default=None)
    assert filled(*feeds).feeds_for("b", key, default_bucket="b") == ([naive] if naive else [])


def _length(one: Feed) -> int:
    return len(one.source.prefix or "")


class Viewing:
    def __init__(self, broker: MemoryBroker) -> None:
        self.log = broker.connect("viewer")
        self.health = Health(FastClock())
        self.view = CatalogueView(self.log, clock=FastClock(), health=self.health, random=lambda: 0.1)
        self.stopping = asyncio.Event()
        self.task = asyncio.create_task(self.view.run(self.stopping))


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(clock=FastClock())


@pytest.fixture
async def writer(broker: MemoryBroker) -> Log:
    log = broker.connect("writer")
    await topics(log, CATALOGUE)
    return log


@pytest.fixture
async def viewing(broker: MemoryBroker, writer: Log) -> AsyncIterator[Viewing]:
    made = Viewing(broker)
    yield made
    made.stopping.set()
    await made.task


async def publish(log: Log, *entities: CatalogueEntity, removed: str | None = None) -> None:
    producer = await log.producer()
    outs = [Out(CATALOGUE, catalogue_key(one).encode(), msgspec.json.encode(one), (), 0) for one in entities]
    await producer.send(outs + ([Out(CATALOGUE, removed.encode(), None, (), 0)] if removed else []))


async def test_what_was_published_before_the_question_is_seen_after_it(writer: Log, viewing: Viewing) -> None:
    for number in range(20):
        await publish(writer, audience("s", f"aud_{number}", f"name {number}"))
        await viewing.view.caught_up()
        assert viewing.view.resolve(Audience, "s", f"name {number}") is not None
    await publish(writer, removed="s/audience/aud_3")
    await viewing.view.caught_up()
    assert viewing.view.get(Audience, "s", "aud_3") is None
    assert len(list(viewing.view.all(Audience, "s"))) == 19
    assert viewing.health.not_ready() == []


async def test_an_entity_in_a_transaction_that_is_still_open_is_waited_for(writer: Log, viewing: Viewing) -> None:
    """The last stable offset would say: nothing there yet (architecture.md §3)."""
    producer = await writer.transactional_producer("control-0", timeout_seconds=10)
    await producer.begin()
    entity = audience("s", "aud_1", "name")
    await producer.send([Out(CATALOGUE, catalogue_key(entity).encode(), msgspec.json.encode(entity), (), 0)])
    asked = asyncio.create_task(viewing.view.caught_up())
    await asyncio.wait((asked,), timeout=0.1)
    assert not asked.done()
    await producer.commit({}, "control")
    await asked
    assert viewing.view.get(Audience, "s", "aud_1") is not None


async def test_an_aborted_entity_is_not_waited_for_for_ever(writer: Log, viewing: Viewing) -> None:
    producer = await writer.transactional_producer("control-0", timeout_seconds=10)
    await producer.begin()
    await producer.send([Out(CATALOGUE, b"s/audience/x", b"{}", (), 0)])
    asked = asyncio.create_task(viewing.view.caught_up())
    await producer.abort()
    await asked
    assert viewing.view.get(Audience, "s", "x") is None


async def test_an_entity_of_another_version_is_left_out_and_its_neighbours_are_not(
    writer: Log, viewing: Viewing
) -> None:
    producer = await writer.producer()
    good = audience("s", "aud_1", "name")
    await producer.send(
        [
            Out(CATALOGUE, b"s/profile/p", b'{"kind_of_entity":"profile"}', (), 0),
            Out(CATALOGUE, None, b"garbage", (), 0),
            Out(CATALOGUE, catalogue_key(good).encode(), msgspec.json.encode(good), (), 0),
        ]
    )
    await viewing.view.caught_up()
    assert list(viewing.view.all(Audience)) == [good]


async def test_the_view_survives_a_broker_that_does_not_answer() -> None:
    faults = Flaky(3, share=0.3, spared="writer")
    broker = MemoryBroker(clock=FastClock(), faults=faults)
    writer = broker.connect("writer")
    await topics(writer, CATALOGUE)
    made = Viewing(broker)
    published = 0
    while published < 50:
        await publish(writer, audience("s", f"aud_{published}", f"name {published}"))
        published += 1
        await asyncio.sleep(0.001)  # in many readings, each of which can fail
    faults.share = 0.0
    await made.view.caught_up()
    assert len(list(made.view.all(Audience))) == 50
    made.stopping.set()
    await made.task


async def test_asking_may_fail_and_says_so() -> None:
    faults = Flaky(3, share=1.0, spared="writer")
    broker = MemoryBroker(clock=FastClock(), faults=faults)
    view = CatalogueView(broker.connect("viewer"), clock=FastClock(), health=Health(FastClock()))
    with pytest.raises(Unavailable):
        await view.caught_up()


async def test_a_missing_topic_is_the_operators(broker: MemoryBroker) -> None:
    view = CatalogueView(broker.connect("viewer"), clock=FastClock(), health=Health(FastClock()))
    with pytest.raises(Fatal, match="usher topics"):
        await view.run(asyncio.Event())


async def test_readiness_waits_for_the_first_whole_reading(writer: Log, broker: MemoryBroker) -> None:
    await publish(writer, Space(space_id="s", name="s", created_at=AT, updated_at=AT))
    made = Viewing(broker)
    assert made.health.not_ready() == ["catalogue: waiting"]
    await eventually(lambda: not made.health.not_ready(), "ready")
    assert made.view.get(Space, "s", "s") is not None
    made.stopping.set()
    await made.task


async def test_who_asks_at_once_shares_the_questions_and_misses_nothing() -> None:
    class Counting(Faults):
        asked = 0

        def before(self, client: str, act: Act) -> None:
            self.asked += (client, act) == ("viewer", "ask")

        def delay_seconds(self, client: str, act: Act) -> float:
            return 0.5 if (client, act) == ("viewer", "ask") else 0.0

    broker = MemoryBroker(clock=FastClock(), faults=(counting := Counting()))
    writer = broker.connect("writer")
    await topics(writer, CATALOGUE)
    viewing = Viewing(broker)
    await viewing.view.caught_up()
    before = counting.asked

    async def ask(number: int) -> None:
        await publish(writer, audience("s", f"aud_{number}", f"name {number}"))
        await viewing.view.caught_up()
        assert viewing.view.resolve(Audience, "s", f"name {number}") is not None

    await asyncio.gather(*map(ask, range(50)))
    assert counting.asked - before < 10
    viewing.stopping.set()
    await viewing.task

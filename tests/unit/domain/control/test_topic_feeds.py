"""Feeds whose source is a topic: what they are in the catalogue, and what may change of them."""

from contracts import codes
from contracts.messages.entities import Feed, FixedAudience, Source
from tests.unit.domain.control.bench import Bench, codes_of, steps

TOPIC = {"kind": "topic", "topic": "shop.events"}


def feed(bench: Bench, feed_id: str = "feed_t") -> Feed:
    found = bench.catalogue[f"acme/feed/{feed_id}"]
    assert isinstance(found, Feed)
    return found


def test_what_is_not_said_follows_from_the_source() -> None:
    bench = Bench().space()
    outs = len(bench.outs)
    bench.made("feeds.create", {"id": "feed_t", "name": "t", "id_type": "kuid", "source": TOPIC})
    made = feed(bench)
    assert made.source == Source(kind="topic", topic="shop.events")
    assert (made.mode, made.format, made.lookback_days, made.audience_from) == ("append", "json", None, "column")
    assert steps(bench.outs[outs:]) == []  # membership is told nothing of feeds


def test_a_feed_may_name_the_audience_of_all_its_events() -> None:
    bench = Bench().space()
    bench.made("audiences.create", {"id": "aud_a", "name": "a", "kind": "list", "id_type": "kuid"})
    bench.made(
        "feeds.create",
        {"id": "feed_t", "name": "t", "id_type": "kuid", "source": TOPIC, "audience_from": {"audience": "a"}},
    )
    assert feed(bench).audience_from == FixedAudience(audience="aud_a")
    assert codes_of(bench.send("audiences.delete", {"id": "aud_a"})) == [codes.IN_USE.code]


def test_a_topic_is_read_by_one_feed_of_a_space_at_a_time() -> None:
    bench = Bench().space()
    bench.made("feeds.create", {"id": "feed_t", "name": "t", "id_type": "kuid", "source": TOPIC})
    again = {"id": "feed_u", "name": "u", "id_type": "kuid", "source": TOPIC}
    assert codes_of(bench.send("feeds.create", again)) == [codes.FEED_SOURCE_TAKEN.code]
    # The same words as a bucket and a prefix are another source.
    bench.made(
        "feeds.create",
        {
            "id": "feed_o", "name": "o", "id_type": "kuid", "mode": "replace",
            "source": {"kind": "s3", "bucket": "topic", "prefix": "shop.events"},
        },
    )  # fmt: skip
    bench.made("feeds.update", {"feed": "t", "source": {"kind": "topic", "topic": "shop.more"}, "enabled": False})
    assert feed(bench).source.topic == "shop.more"
    bench.made("feeds.create", again)
    assert codes_of(bench.send("feeds.update", {"feed": "t", "source": TOPIC})) == [codes.FEED_SOURCE_TAKEN.code]
    bench.made("feeds.delete", {"feed": "u"})
    bench.made("feeds.update", {"feed": "t", "source": TOPIC})

"""A broker that is away is asked seldom, by whichever client, and without a pause once it has answered."""

from itertools import pairwise

import pytest
from aiokafka import client

from services.adapters.kafka.reconnecting import Failures, connect, pause_seconds


async def refuse(host: str, port: int, **options: object) -> str:
    raise ConnectionRefusedError


async def answer(host: str, port: int, **options: object) -> str:
    return f"{host}:{port}"


async def test_failures_in_a_row_are_counted_by_place_and_a_success_forgets_them() -> None:
    failures: Failures = {}
    for _ in range(3):
        with pytest.raises(ConnectionRefusedError):
            await connect("host", 1, make=refuse, failures=failures)
    with pytest.raises(ConnectionRefusedError):
        await connect("host", 2, make=refuse, failures=failures)
    assert failures == {("host", 1): 3, ("host", 2): 1}
    assert await connect("host", 1, make=answer, failures=failures) == "host:1"
    assert failures == {("host", 2): 1}


def test_the_pause_grows_up_to_a_second_and_is_never_the_same_for_all() -> None:
    longest = [pause_seconds(failed, lambda: 1.0) for failed in range(1, 11)]
    assert longest[0] == 0.05
    assert all(before <= after for before, after in pairwise(longest))
    assert longest[-1] == 1.0
    assert [pause_seconds(failed, lambda: 0.0) for failed in range(1, 11)] == [seconds / 2 for seconds in longest]


def test_clients_of_aiokafka_connect_by_it() -> None:
    assert client.create_conn is connect

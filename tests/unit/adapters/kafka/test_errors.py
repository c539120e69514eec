"""The table of errors: every class of aiokafka's has exactly one home, and the homes that matter are right."""

import inspect

import pytest
from aiokafka import errors as kafka

from contracts import codes
from services.adapters.kafka import errors
from services.adapters.kafka.errors import HOMES, failure, translated
from services.runtime.failures import Fatal, Fenced, OffsetLost, Rejected, Unavailable

CLASSES = [
    value
    for value in vars(kafka).values()
    if inspect.isclass(value) and issubclass(value, Exception) and value.__module__ == kafka.__name__
]


def test_every_error_of_aiokafka_has_a_home() -> None:
    assert sorted(one.__name__ for one in set(CLASSES) - HOMES.keys()) == []
    assert sorted(one.__name__ for one in HOMES.keys() - set(CLASSES)) == []


def test_no_error_has_two_homes() -> None:
    groups = [errors._FENCED, errors._OFFSET_LOST, errors._REJECTED, errors._FATAL, errors._UNAVAILABLE]
    assert sum(len(group) for group in groups) == len(HOMES)


def test_what_aiokafka_retries_by_itself_never_stops_a_worker() -> None:
    assert {HOMES[one] for one in CLASSES if getattr(one, "retriable", False)} == {"unavailable"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (kafka.ProducerFenced(), Fenced),
        (kafka.InvalidProducerEpoch(), Fenced),
        (kafka.OutOfOrderSequenceNumber(), Unavailable),
        (kafka.UnknownProducerId(), Unavailable),
        (kafka.InvalidTxnState(), Unavailable),
        (kafka.RequestTimedOutError(), Unavailable),
        (kafka.CommitFailedError(), Unavailable),
        (kafka.UnknownError(), Unavailable),
        (kafka.TopicAuthorizationFailedError("t"), Fatal),
        (kafka.InvalidTransactionTimeout(), Fatal),
        (kafka.OffsetOutOfRangeError({}), OffsetLost),
        (kafka.MessageSizeTooLargeError(), Rejected),
        (ConnectionResetError(), Unavailable),
        (TimeoutError(), Unavailable),
    ],
)
def test_an_error_comes_out_as_its_failure(error: Exception, expected: type[BaseException]) -> None:
    with pytest.raises(expected, match="doing something") as caught, translated("doing something"):
        raise error
    assert caught.type is expected
    assert caught.value.__cause__ is error


def test_a_record_too_large_has_its_code() -> None:
    found = failure(kafka.MessageSizeTooLargeError(), "sending")
    assert isinstance(found, Rejected)
    assert found.code is codes.MESSAGE_TOO_LARGE


def test_a_wrapped_error_is_judged_by_what_it_wraps() -> None:
    wrapped = kafka.KafkaError("Unexpected error during batch delivery")
    wrapped.__cause__ = kafka.InvalidProducerEpoch()
    assert isinstance(failure(wrapped, "sending"), Fenced)
    wrapped.__cause__ = kafka.TransactionalIdAuthorizationFailed("id")
    assert isinstance(failure(wrapped, "sending"), Fatal)


def test_an_unreadable_header_name_stops_loudly() -> None:
    with pytest.raises(Fatal, match="commands: a record has a header name that is not UTF-8"), translated("commands"):
        b"\xff".decode()


def test_what_is_not_the_brokers_passes_unchanged() -> None:
    with pytest.raises(ZeroDivisionError), translated("dividing"):
        raise ZeroDivisionError

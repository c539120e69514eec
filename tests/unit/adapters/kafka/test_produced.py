"""A produce request is written out as aiokafka's own types would, at every version."""

import inspect
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.producer.message_accumulator import MessageAccumulator, MessageBatch
from aiokafka.protocol.produce import ProduceRequest

from services.adapters.kafka import produced

TOPICS = [("é", [(0, b"first"), (7, bytearray(b"second"))]), ("none", []), ("null", [(1, None)])]


@pytest.mark.parametrize("version", ProduceRequest._CLASSES)
@pytest.mark.parametrize("transaction", [None, "id"])
def test_it_says_what_its_schema_does(version: Any, transaction: str | None) -> None:
    given = [-1, 1000, TOPICS]
    request = version(*([transaction, *given] if version.API_VERSION >= 3 else given))
    assert request.encode.__func__ is produced._encode
    assert request.encode() == version.SCHEMA.encode([getattr(request, name) for name in version.SCHEMA.names])


def test_what_we_build_upon_is_there() -> None:
    assert "request_struct.encode()" in inspect.getsource(AIOKafkaConnection.send)
    asked = inspect.getsource(MessageBatch) + inspect.getsource(MessageAccumulator)
    names = {part.split("(")[0] for part in asked.split("_builder.")[1:]}
    assert names == {"append", "close", "closed", "record_count", "_set_producer_state", "_build"}  # all but the first

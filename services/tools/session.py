"""What every call of the `usher` command that talks to a running system begins with: settings and an open log."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.adapters.connect import open_kafka
from services.client import TopicMissing
from services.runtime.environment import load_settings
from services.runtime.failures import Unavailable
from services.runtime.log import Log
from services.runtime.settings import Settings, SettingsError
from services.tools.failed import CallFailed


@asynccontextmanager
async def session() -> AsyncIterator[tuple[Settings, Log]]:
    """Settings and an open log; raises `CallFailed` with what to do."""
    try:
        settings = load_settings()
    except SettingsError as error:
        raise CallFailed(f"{error}\n(`usher stack up` starts a local stack that every call finds)") from None
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # what it would say, our line says
    try:
        async with open_kafka(settings, client_id="usher-cli") as log:
            yield settings, log
    except Unavailable as error:
        raise CallFailed(f"Kafka at {settings.kafka_bootstrap_servers} does not answer: {error}") from None
    except TopicMissing as error:
        raise CallFailed(str(error)) from None

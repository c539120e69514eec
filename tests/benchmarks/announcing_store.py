"""An S3 of small objects in memory, which announces each one on the topic of notifications, as MinIO's Kafka target does.

For benchmarks of what becomes of an object: the S3 server of the local stack, moto, is Python throughout, and costs more a
small object than any service of usher. Put to from within the process; over HTTP it answers what intake asks.
"""

import hashlib
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Final

import orjson
from aiohttp import web

from contracts import catalog
from contracts.records import Out
from services.runtime.log import Producer
from services.tools.receiver import served

BUCKET: Final = "announced"


class AnnouncingStore:
    """Its one bucket is `BUCKET`; nothing is ever overwritten or removed."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._objects: dict[str, tuple[bytes, dict[str, str]]] = {}
        self.url = ""

    async def put(self, bodies: Mapping[str, bytes]) -> None:
        """By key. Returns when all are announced."""
        now_seconds = time.time()
        outs = []
        for key, body in bodies.items():
            etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
            self._objects[key] = (
                body,
                {"ETag": f'"{etag}"', "Last-Modified": formatdate(now_seconds, usegmt=True)},
            )
            outs.append(Out(catalog.OBJECTS, None, _announcement(key, etag, len(body), now_seconds)))
        await self._producer.send(outs)

    async def answer(self, request: web.Request) -> web.Response:
        """HEAD and GET of an object."""
        body, headers = self._objects[request.match_info["key"]]
        return web.Response(body=body, headers=headers)


def _announcement(key: str, etag: str, size_bytes: int, at_seconds: float) -> bytes:
    at = datetime.fromtimestamp(at_seconds, UTC).isoformat(timespec="milliseconds")
    record = {
        "eventVersion": "2.1",
        "eventSource": "minio:s3",
        "eventTime": at,
        "eventName": "s3:ObjectCreated:Put",
        "s3": {"bucket": {"name": BUCKET}, "object": {"key": key, "eTag": etag, "size": size_bytes}},
    }
    return orjson.dumps({"EventName": "s3:ObjectCreated:Put", "Key": f"{BUCKET}/{key}", "Records": [record]})


@asynccontextmanager
async def announcing_store(producer: Producer) -> AsyncIterator[AnnouncingStore]:
    """Answers at `url` until the context is left."""
    store = AnnouncingStore(producer)
    app = web.Application()
    app.router.add_get(f"/{BUCKET}/{{key:.+}}", store.answer)
    async with served(app) as store.url:
        yield store

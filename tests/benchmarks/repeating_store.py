"""An S3 of one object of any size, which is nowhere whole: one gzip member again and again.

What is written there (the reject file) is taken and forgotten.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import formatdate
from typing import Final

from aiohttp import web

from contracts.messages.intake import ObjectVersion
from services.tools.receiver import served

BUCKET: Final = "repeated"
KEY: Final = "object.gz"
_ETAG: Final = "0" * 32
_MODIFIED_SECONDS: Final = 1_767_225_600


class _Store:
    def __init__(self, member: bytes, times: int) -> None:
        self._member = member
        self._times = times

    async def answer(self, request: web.Request) -> web.StreamResponse:
        """HEAD and GET of the object, whole."""
        response = web.StreamResponse(
            headers={"ETag": f'"{_ETAG}"', "Last-Modified": formatdate(_MODIFIED_SECONDS, usegmt=True)}
        )
        response.content_length = len(self._member) * self._times
        await response.prepare(request)
        for _ in range(self._times if request.method == "GET" else 0):
            await response.write(self._member)
        return response


async def _forgotten(request: web.Request) -> web.Response:
    """PUT of any object."""
    async for _ in request.content.iter_any():
        pass
    return web.Response(headers={"ETag": f'"{_ETAG}"'})


@asynccontextmanager
async def repeating(member: bytes, times: int) -> AsyncIterator[tuple[str, ObjectVersion]]:
    """The endpoint, and the version to ask for."""
    app = web.Application()
    app.router.add_get(f"/{BUCKET}/{KEY}", _Store(member, times).answer)
    app.router.add_put(f"/{BUCKET}/{{key:.+}}", _forgotten)
    async with served(app) as url:
        version = ObjectVersion(
            bucket=BUCKET,
            key=KEY,
            etag=_ETAG,
            size_bytes=len(member) * times,
            last_modified_ms=_MODIFIED_SECONDS * 1000,
        )
        yield url, version

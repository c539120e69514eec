"""`usher put`: an upload, for those who have no S3 client at hand."""

import asyncio
from pathlib import Path

from services.adapters.connect import open_objects
from services.runtime.environment import load_settings
from services.runtime.failures import Rejected, Unavailable
from services.tools.failed import CallFailed


async def main(file: Path, key: str, bucket: str | None) -> int:
    """Exit 1 with a line where the file or the store can't be had."""
    settings = load_settings()
    into = bucket or settings.require("s3_bucket").s3_bucket
    try:
        body = await asyncio.to_thread(file.read_bytes)
        async with open_objects(settings) as objects:
            await objects.write(str(into), key, body, content_type="application/octet-stream")
    except (OSError, Rejected, Unavailable) as error:
        raise CallFailed(str(error)) from None
    print(f"s3://{into}/{key}")
    return 0

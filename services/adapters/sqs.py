"""A queue of notifications in SQS: implements `NotificationQueue`."""

from collections.abc import Sequence
from typing import Any, Final

from botocore.exceptions import ClientError

from services.adapters.aws import NO_ANSWER, unavailable
from services.runtime.failures import Unavailable
from services.runtime.objects import QueuedMessage

_MESSAGES_MAX: Final = 10  # SQS's own limits
_WAIT_SECONDS_MAX: Final = 20


class SqsQueue:
    """Holds a client that `connect` opens and closes."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    async def receive(self, *, messages_max: int, wait_seconds: float) -> list[QueuedMessage]:
        """At most 10 at once, whatever is asked for; waits at most 20 s, in whole seconds."""
        try:
            answer = await self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=min(messages_max, _MESSAGES_MAX),
                WaitTimeSeconds=min(round(wait_seconds), _WAIT_SECONDS_MAX),
                MessageSystemAttributeNames=["ApproximateReceiveCount"],
            )
        except (ClientError, *NO_ANSWER) as error:
            raise unavailable(error, f"receiving at {self._url}") from error
        return [
            QueuedMessage(
                body=message["Body"].encode(errors="surrogatepass"),
                receipt=message["ReceiptHandle"],
                receive_count=int(message.get("Attributes", {}).get("ApproximateReceiveCount", 1)),
                message_id=message.get("MessageId", ""),
            )
            for message in answer.get("Messages", ())
        ]

    async def done(self, receipts: Sequence[str]) -> None:
        for first in range(0, len(receipts), _MESSAGES_MAX):
            batch = receipts[first : first + _MESSAGES_MAX]
            entries = [{"Id": str(index), "ReceiptHandle": receipt} for index, receipt in enumerate(batch)]
            try:
                answer = await self._client.delete_message_batch(QueueUrl=self._url, Entries=entries)
            except (ClientError, *NO_ANSWER) as error:
                raise unavailable(error, f"deletion at {self._url}") from error
            if failed := answer.get("Failed"):
                raise Unavailable(f"{self._url}: {len(failed)} of {len(batch)} deletions failed")

    async def close(self) -> None:
        """The client is closed by whoever opened it."""

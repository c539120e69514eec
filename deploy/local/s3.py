"""S3 and SQS by moto's server, in a process of its own: start, provision, keep the objects from one start to the next.

moto holds objects in memory. Kafka's data outlives a `down`, and the checkpoints that belong to it are objects:
`save` and `restore` carry them over. Does not keep its process: `stack` does.
"""

import http.client
import json
import os
import sys
import tarfile
import urllib.parse
from pathlib import Path
from typing import Any

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config

from deploy.local.processes import spawn, wait_until
from deploy.local.state import Layout, Process, StackState, make_private_folder

REGION = "us-east-1"
BUCKET = "usher"
STATE_BUCKET = "usher-state"
QUEUE = "usher-objects"
ACCOUNT = "123456789012"  # moto's one account
START_WITHIN_SECONDS = 60.0
STOP_WITHIN_SECONDS = 5.0
_PART_BYTES = "usher.part_bytes"  # in the archive, of an object that was uploaded in parts


def start(layout: Layout, port: int) -> Process:
    """Starts moto's server on the port. Does not wait."""
    make_private_folder(layout.spool)
    environ = {**os.environ, "TMPDIR": str(layout.spool)}  # where moto spools what is large
    argv = [sys.executable, "-m", "deploy.local.s3_server", str(port)]
    environ["PYTHONPATH"] = str(Path(__file__).parents[2])
    return spawn("s3", argv, log=layout.log("s3"), environ=environ)


def wait_for(process: Process, endpoint_url: str, layout: Layout) -> None:
    """Returns when the server answers. Raises StackError, with the end of its log, if it dies or takes too long."""
    wait_until(lambda: answers(endpoint_url), process, log=layout.log("s3"), within_seconds=START_WITHIN_SECONDS)


def answers(endpoint_url: str) -> bool:
    """Whether an HTTP server answers there at all."""
    address = urllib.parse.urlsplit(endpoint_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=2.0)
    try:
        connection.request("GET", "/moto-api/")
        connection.getresponse()
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return True


def provision(state: StackState, layout: Layout) -> None:
    """Creates the buckets, puts back the objects that `save` kept, creates the queue and the notification.

    In that order, so that no object put back is announced. The notification is the last step: a server that has
    it is left as it is, and one that a killed `up` left half done is completed.
    """
    s3, sqs = _client("s3", state), _client("sqs", state)
    present = {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}
    if BUCKET in present and "QueueConfigurations" in s3.get_bucket_notification_configuration(Bucket=BUCKET):
        return
    for bucket in (BUCKET, STATE_BUCKET):
        s3.create_bucket(Bucket=bucket)
    restore(state, layout)
    queue_arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{QUEUE}"
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "s3.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": queue_arn,
                "Condition": {"ArnLike": {"aws:SourceArn": f"arn:aws:s3:::{BUCKET}"}},
            }
        ],
    }
    sqs.create_queue(QueueName=QUEUE, Attributes={"Policy": json.dumps(policy)})
    s3.put_bucket_notification_configuration(
        Bucket=BUCKET,
        NotificationConfiguration={"QueueConfigurations": [{"QueueArn": queue_arn, "Events": ["s3:ObjectCreated:*"]}]},
    )


def queue_url(endpoint_url: str) -> str:
    """The address that moto gives the queue."""
    return f"{endpoint_url}/{ACCOUNT}/{QUEUE}"


def save(state: StackState, layout: Layout) -> int:
    """Copies every object of the two buckets, without its headers, into one archive; returns their number."""
    s3 = _client("s3", state)
    saved = 0
    part = layout.objects.with_suffix(".part")
    with tarfile.open(part, "w") as archive:
        for bucket in (BUCKET, STATE_BUCKET):
            for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for found in page.get("Contents", []):
                    _save_object(s3, bucket, found["Key"], archive)
                    saved += 1
    part.replace(layout.objects)
    return saved


def restore(state: StackState, layout: Layout) -> None:
    """Puts back what `save` kept, in parts of the same size: an eTag, which names content to us, stays the same."""
    if not layout.objects.exists():
        return
    s3 = _client("s3", state)
    with tarfile.open(layout.objects) as archive:
        for member in archive:
            bucket, _, key = member.name.partition("/")
            body = archive.extractfile(member)
            if _PART_BYTES in member.pax_headers:
                part_bytes = int(member.pax_headers[_PART_BYTES])
                parts = TransferConfig(multipart_threshold=1, multipart_chunksize=part_bytes)
                s3.upload_fileobj(body, bucket, key, Config=parts)
            else:
                s3.put_object(Bucket=bucket, Key=key, Body=body)


def _save_object(s3: Any, bucket: str, key: str, archive: tarfile.TarFile) -> None:
    found = s3.get_object(Bucket=bucket, Key=key)
    member = tarfile.TarInfo(f"{bucket}/{key}")
    member.size = found["ContentLength"]
    if "-" in found["ETag"]:  # uploaded in parts
        first = s3.head_object(Bucket=bucket, Key=key, PartNumber=1)
        member.pax_headers = {_PART_BYTES: str(first["ContentLength"])}
    archive.addfile(member, found["Body"])


def _client(service: str, state: StackState) -> Any:
    return boto3.client(
        service,
        endpoint_url=state.s3_endpoint_url,
        region_name=state.s3_region,
        aws_access_key_id=state.aws_access_key_id,
        aws_secret_access_key=state.aws_secret_access_key,
        config=Config(proxies={}, s3={"addressing_style": "path"}),  # loopback is behind no proxy
    )

"""What makes two announced object versions the same (engine.md §1 rule 5)."""

from contracts.ids import made_id
from contracts.messages.intake import ObjectVersion


def object_id(version: ObjectVersion) -> str:
    """The same for the same version, however often it is announced."""
    return made_id("obj", *version_parts(version))


def version_parts(version: ObjectVersion) -> tuple[str | int, ...]:
    """S3 gives the version id `null` where a bucket keeps no versions: it says nothing then."""
    if version.version_id and version.version_id != "null":
        return version.bucket, version.key, "version", version.version_id
    return version.bucket, version.key, "etag", version.etag or "", version.last_modified_ms or 0

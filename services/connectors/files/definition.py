"""The files connector's declaration, and the connector itself."""

from collections.abc import Mapping, Sequence
from typing import Final

from services.connectors.base import ReplacingConnector, Request, Settings, Target, Whole
from services.connectors.declaration import RESYNC, Declaration, Limits, Replacement, SecretField, SettingField
from services.connectors.files import refresh, requests, rows, send
from services.domain.delivery.answers import Verdict
from services.domain.delivery.merge import Item
from services.domain.delivery.replacement import Part
from services.runtime.web import WebAnswer, WebRequest

DECLARATION: Final = Declaration(
    slug="files",
    title="Files in S3",
    settings=(
        SettingField("bucket", "text", "The bucket", required=True, pattern=r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]"),
        SettingField("prefix", "text", "What every key begins with", default="", pattern=r"[A-Za-z0-9_=/-]{1,256}"),
        SettingField("region", "text", "The bucket's region", default="us-east-1", pattern=r"[a-z0-9-]{1,64}"),
        SettingField("endpoint_url", "url", "An S3 that isn't Amazon's; buckets are named by path there"),
        SettingField(
            "format", "choice", "What an object holds", default="csv", choices=(*rows.TEXT_FORMATS, "parquet")
        ),
        SettingField("compression", "choice", "How it is compressed", default="gzip", choices=("gzip", "zstd", "none")),
    ),
    secrets=(
        SecretField("access_key_id", "The access key, of an owner who may do no more than PutObject", required=True),
        SecretField("secret_access_key", "Its secret", required=True),
    ),
    connection_settings=(RESYNC,),
    replacement=Replacement(
        "All members are written as objects of a folder of their own, `full/`, and after them `_manifest.json`, which "
        "names them: the list is whole when that is there. What changes afterwards follows as after any resync."
    ),
    limits=Limits(items_per_request=50_000, items_per_request_max=1_000_000),
    removal=(
        "A member that exits is a row with the change `exited`. The presets have no such column: what exited is in "
        "objects of the folder `exited/`, for a suppression or the next full refresh, as these platforms want it."
    ),
    lists="Objects below a prefix. Nothing has to be made: the bucket exists.",
    verification=(
        "A small object `_usher-verify.txt` is put behind the prefix, always the same: that takes no right but "
        "PutObject. It stays; let a reader of the bucket skip what begins with `_`."
    ),
)


class Files(ReplacingConnector):
    """The connector `files`."""

    declaration = DECLARATION

    def requests(self, items: Sequence[Item], settings: Settings) -> list[Request]:
        """One object for each activation."""
        return requests.requests(items, settings)

    def refuses(self, id_type: str, settings: Settings) -> str | None:
        """The Trade Desk takes e-mail addresses alone."""
        crm = settings["format"] == "trade-desk-crm" and id_type != "email_sha256"
        return f"of id type {id_type}; The Trade Desk's CRM files take email_sha256" if crm else None

    def attempt(self, request: Request, target: Target) -> WebRequest:
        """The PUT, signed for this moment."""
        return send.put(request, target)

    def outcomes(self, request: Request, answer: WebAnswer) -> Mapping[str, Verdict]:
        """One verdict for all."""
        return send.outcomes(request, answer)

    def replacement(self, whole: Whole, part: Part, settings: Settings) -> Request | None:
        """One object."""
        return refresh.object_of(whole, part, settings)

    def completion(self, whole: Whole, sent: Sequence[Request], settings: Settings) -> Request:
        """The manifest."""
        return refresh.manifest(whole, sent, settings)

    def verification(self, target: Target) -> WebRequest:
        """The PUT of an object that is no data."""
        return send.put(requests.VERIFICATION, target)

    def verified(self, answer: WebAnswer) -> Verdict:
        """As on any other object."""
        return send.judged(answer)

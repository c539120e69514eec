"""A whole list as objects of one folder and a manifest that names them: written last, it makes them the list.

Names and bytes are functions of the resync alone: who begins again writes the same objects anew (fault 64).
"""

from collections.abc import Sequence

import msgspec

from services.connectors.base import Request, Settings, Whole
from services.connectors.files.requests import content, digest, folder
from services.domain.delivery.replacement import Part

MANIFEST = "_manifest.json"


def object_of(whole: Whole, part: Part, settings: Settings) -> Request | None:
    """One object; an empty list has none."""
    if not part.items:
        return None
    body, ending = content(part.items, str(settings["format"]), str(settings["compression"]))
    return Request(f"{_folder(whole)}/{part.number:06}-{digest(body)}.{ending}", (whole.item,), body, part)


def manifest(whole: Whole, sent: Sequence[Request], settings: Settings) -> Request:
    """`objects` are in the order of the list, their keys complete; `at` is when the list was as it is there."""
    clear = whole.clear
    objects = [
        {"key": f"{settings['prefix']}{one.id}", "members": one.part.members} for one in sent if one.part is not None
    ]
    said = {
        "space_id": clear.space_id,
        "activation_id": clear.activation_id,
        "audience_id": clear.audience_id,
        "step": clear.step,
        "at": clear.at,
        "members": whole.members,
        "objects": objects,
    }
    return Request(f"{_folder(whole)}/{MANIFEST}", (whole.item,), msgspec.json.encode(said))


def _folder(whole: Whole) -> str:
    clear = whole.clear
    return f"{folder(clear)}/full/{clear.at[:10]}/{clear.step:020}"

"""Exits with 1 and a line per complaint where `contracts/asyncapi.yaml` is not a page of AsyncAPI."""

import sys

from contracts.documents import FOLDER
from tests.contract.asyncapi import complaints

_PAGE = FOLDER / "asyncapi.yaml"

if lines := complaints([_PAGE])[_PAGE]:
    sys.exit("\n".join(lines))

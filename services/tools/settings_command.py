"""`usher settings`: every setting, its default and what it is for, from the one place that declares them."""

import msgspec
from pydantic_core import PydanticUndefined
from rich.console import Console
from rich.table import Table

from services.runtime.settings import Settings, described, variable


def main(*, as_json: bool) -> int:
    """Reads no environment: it shows what may be set, not what is."""
    rows = []
    for name, field in Settings.model_fields.items():
        required = field.default is PydanticUndefined
        default = "" if required or field.default is None or field.default == () else str(field.default)
        rows.append((variable(name), "required" if required else default, described(name)))
    if as_json:
        for setting, default, words in rows:
            print(msgspec.json.encode({"variable": setting, "default": default, "description": words}).decode())
        return 0
    table = Table(
        "variable", "default", "what it is for", title="each has a twin …_FILE that names a file with the value"
    )
    for row in rows:
        table.add_row(*row)
    Console().print(table)
    return 0

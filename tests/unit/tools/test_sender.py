"""Whose signature is on the commands of a call."""

from pathlib import Path

import pytest

from services.tools.failed import CallFailed
from services.tools.sender import Sender


def test_nobody_signs_unless_it_is_said_who() -> None:
    assert Sender().signer() is None


@pytest.mark.parametrize("sender", [Sender(principal="crm"), Sender(key=Path("crm.pem"))])
def test_a_name_and_a_key_go_together(sender: Sender) -> None:
    with pytest.raises(CallFailed, match="go together"):
        sender.signer()


@pytest.mark.parametrize("content", [None, b"no key"])
def test_a_key_that_cannot_be_had_is_said_with_its_owner(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CallFailed, match="the key of crm"):
        Sender(principal="crm", key=path).signer()

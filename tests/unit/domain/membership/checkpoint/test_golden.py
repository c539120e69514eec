"""What released versions wrote loads for ever, and goes on as it did then while the fold's rules are the same."""

import pytest

from services.domain.membership.checkpoint.manifest import FOLD_RULES, FORMAT
from tests.unit.domain.membership.checkpoint.golden_checkpoints import FOLDER, Golden, folded, members, outputs

NAMES = sorted(path.name for path in FOLDER.iterdir())


@pytest.mark.parametrize("name", NAMES)
def test_its_members_are_those_of_then(name: str) -> None:
    golden = Golden(FOLDER / name)
    assert members(golden.partition()) == golden.expected.members


@pytest.mark.parametrize("name", NAMES)
def test_the_same_log_puts_out_the_same_while_the_rules_have_the_same_number(name: str) -> None:
    """Where this fails and the change is meant: raise `FOLD_RULES`, and make a folder for the new rules."""
    golden = Golden(FOLDER / name)
    found = outputs(folded(golden.partition(), golden.tail()))
    if golden.manifest.fold_rules == FOLD_RULES:
        assert found == golden.expected.tail_outputs
    else:
        assert found, "other rules fold it too"


def test_there_is_one_of_the_present_format_and_rules() -> None:
    manifests = [Golden(FOLDER / name).manifest for name in NAMES]
    assert (FORMAT, FOLD_RULES) in {(one.format, one.fold_rules) for one in manifests}

"""The numbers of the states of activations: one table in code and on the page, each number once."""

import re
from pathlib import Path

from contracts.messages.published import ACTIVATION_STATUS_IDS

README = Path(__file__).parents[2] / "contracts" / "README.md"


def test_the_page_says_what_the_code_does() -> None:
    said = re.findall(r"^\| `([a-z-]+)` \| ([0-9]+) \|", README.read_text(), re.MULTILINE)
    assert {state: int(number) for state, number in said} == ACTIVATION_STATUS_IDS


def test_a_number_is_of_one_state_and_none_is_nought() -> None:
    numbers = sorted(ACTIVATION_STATUS_IDS.values())
    assert numbers == sorted(set(numbers))
    assert numbers[0] > 0

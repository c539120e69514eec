"""The next uploads are those that a look at every activation finds, whatever changes and wherever the time goes."""

from hypothesis import given
from hypothesis import strategies as st

from contracts.instants import DAY_MS, instant_text
from contracts.messages.entities import Activation
from services.domain.control.schedule import next_upload_ms
from services.domain.control.uploads import Uploads
from tests.unit.domain.control.bench import START_MS

INSTANTS = st.integers(0, 40).map(lambda quarters: START_MS + quarters * DAY_MS // 4)


def activation(id_: str, days: int, start_ms: int, end_ms: int | None) -> Activation:
    """A recurring one."""
    return Activation(
        space_id="acme",
        activation_id=id_,
        name=id_,
        created_at=instant_text(START_MS),
        updated_at=instant_text(START_MS),
        connection_id="con",
        audience_id="aud",
        destination_id="dest",
        start_date=instant_text(start_ms),
        end_date=None if end_ms is None else instant_text(end_ms),
        recurring=True,
        recurring_days=days,
    )


ACTIVATIONS = st.builds(activation, st.sampled_from("abcd"), st.integers(1, 3), INSTANTS, st.none() | INSTANTS)
STEPS = st.lists(ACTIVATIONS | st.sampled_from("abcd") | INSTANTS, max_size=30)


@given(STEPS)
def test_it_finds_what_a_look_at_every_activation_finds(steps: list[Activation | str | int]) -> None:
    uploads, there = Uploads(), dict[str, Activation]()
    for step in steps:
        if isinstance(step, int):
            found = {id_: next_upload_ms(one, step) for id_, one in there.items()}
            assert uploads.next_ms(step) == min((at_ms for at_ms in found.values() if at_ms is not None), default=None)
            assert uploads.at(step) == {id_ for id_, one in there.items() if next_upload_ms(one, step - 1) == step}
            continue
        before = there.pop(step if isinstance(step, str) else step.activation_id, None)
        if before is not None:
            uploads.remove(before)
        if isinstance(step, Activation):
            uploads.put(step)
            there[step.activation_id] = step

"""What makes a process alive and ready."""

from services.runtime.health import LOOP_SILENT_SECONDS_MAX, Health
from tests.unit.runtime.machine import HandClock


def test_ready_when_every_gate_is_open_and_not_while_stopping() -> None:
    health = Health(HandClock())
    first, second = health.gate("first"), health.gate("second")
    assert health.not_ready() == ["first: waiting", "second: waiting"]
    first.open()
    second.open()
    assert health.not_ready() == []
    first.close()
    assert health.not_ready() == ["first: waiting"]
    first.open()
    health.stop()
    assert health.not_ready() == ["stopping"]


def test_alive_while_the_loop_turns_and_every_pulse_beats() -> None:
    clock = HandClock()
    health = Health(clock)
    with health.pulse("shard", allowed_seconds=100) as pulse:
        clock.pass_seconds(LOOP_SILENT_SECONDS_MAX + 1)
        assert health.not_alive() == ["event loop: did not turn for 31 s"]
        health.turned()
        assert health.not_alive() == []
        clock.pass_seconds(70)
        health.turned()
        assert health.not_alive() == ["shard: no progress for 101 s"]
        pulse.beat()
        assert health.not_alive() == []
        clock.pass_seconds(101)
        health.turned()
        assert health.not_alive() == ["shard: no progress for 101 s"]
    assert health.not_alive() == [], "a loop that has ended need not beat"


def test_a_pulse_counts_from_when_its_loop_begins() -> None:
    clock = HandClock()
    health = Health(clock)
    pulse = health.pulse("late", allowed_seconds=10)
    clock.pass_seconds(20)
    with pulse:
        health.turned()
        assert health.not_alive() == []

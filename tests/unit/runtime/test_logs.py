"""What a library says again and again is told now and then."""

import logging

from services.runtime.logs import Seldom


def line(text: str, *arguments: object, at: float, name: str = "library", broken: bool = False) -> logging.LogRecord:
    error = (ValueError, ValueError(), None) if broken else None
    made = logging.LogRecord(name, logging.ERROR, "", 0, text, arguments, error)
    made.created = at
    return made


def test_of_what_is_alike_one_in_ten_seconds_is_told_with_how_many_were_not() -> None:
    seldom = Seldom()
    lines = [line("no node %s", number, at=1_000.0 + number) for number in range(25)]
    assert [one.getMessage() for one in lines if seldom.filter(one)] == [
        "no node 0",
        "no node 10 (and 9 alike)",
        "no node 20 (and 9 alike)",
    ]


def test_what_differs_or_brings_a_traceback_is_told_always() -> None:
    seldom = Seldom()
    lines = [
        line("one", at=1_000.0),
        line("other", at=1_000.0),
        line("one", at=1_000.0, name="another"),
        *(line("broken", at=1_000.0, broken=True) for _ in range(3)),
    ]
    assert all(seldom.filter(one) for one in lines)


def test_texts_without_end_are_forgotten() -> None:
    seldom = Seldom()
    assert all(seldom.filter(line(f"number {number}", at=1_000.0)) for number in range(5_000))
    assert len(seldom._told) <= 1_000

"""What is no scenario is refused with its place, and what a scenario means is exact."""

import gzip
import re

import pytest

from services.tools.scenario import identities, moment, read_scenario, upload_body, upload_key

HEAD = """
name: x
space: x
start: 2026-01-31
feeds:
  - {name: caret, prefix: x/caret/, mode: replace, id_type: kuid, format: caret}
  - {name: path, prefix: x/path/, mode: replace, id_type: kuid, format: caret, audience_from: path}
  - {name: csv, prefix: x/csv/, mode: replace, id_type: kuid, format: csv,
     columns: [{name: note, role: ignore}, {name: list, role: audience}, {name: id, role: identifier}]}
"""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a list\n", "Expected `object`"),
        ("name: [\n", "while parsing"),
        ("name: x\nspace: x\nstart: 2026-01-01\n", "missing required field `days`"),
        ("name: x\nspace: x\nstart: soon\ndays: []\n", "$.start"),
        (HEAD + "days: [{day: 0}]\n", "day 0 is before day 1"),
        (HEAD + "days: [{day: 1, uplaods: []}]\n", "unknown field `uplaods`"),
        (HEAD + "days: [{day: 1, uploads: [{feed: caret}]}]\n", "either `rows` or `raw`"),
        (HEAD + "days: [{day: 1, uploads: [{feed: caret, rows: {a: '1..2'}, raw: x}]}]\n", "either `rows` or `raw`"),
        (HEAD + "days: [{day: 1, uploads: [{feed: nobody, rows: {a: '1..2'}}]}]\n", "no feed 'nobody'"),
        (HEAD + "days: [{day: 1, expect: {a: many}}]\n", "$.days[0].expect"),
    ],
)
def test_what_is_no_scenario(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_scenario(text.encode())


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("1..3", ["u000001", "u000002", "u000003"]),
        ("7", ["u000007"]),
        ("1..2, 9..10", ["u000001", "u000002", "u000009", "u000010"]),
        (["a", "b"], ["a", "b"]),
    ],
)
def test_identities(spec: str | list[str], expected: list[str]) -> None:
    assert identities(spec) == expected


@pytest.mark.parametrize(
    ("upload", "key", "body"),
    [
        ("{feed: caret, rows: {a: '1', b: '2'}}", "x/caret/2026-02-01/caret-2-0-2026-02-01", "u000001^a\nu000002^b\n"),
        ("{feed: path, rows: {a: '1'}, name: f}", "x/path/a/2026-02-01/f", "u000001\n"),
        ("{feed: csv, rows: {a: '1'}, date: 2026-01-05, name: f}", "x/csv/2026-01-05/f", "note,list,id\n,a,u000001\n"),
        ("{feed: caret, raw: 'x', name: f}", "x/caret/2026-02-01/f", "x"),
    ],
)
def test_where_an_upload_goes_and_what_it_holds(upload: str, key: str, body: str) -> None:
    scenario = read_scenario(f"{HEAD}days: [{{day: 2, at: '12:00', uploads: [{upload}]}}]\n".encode())
    (day,) = scenario.days
    (one,) = day.uploads

    assert moment(scenario, day) == "2026-02-01T12:00:00.000Z"
    assert upload_key(scenario, day, one, 0) == key
    assert upload_body(scenario, one) == body.encode()


def test_a_packed_upload_says_so_in_its_name() -> None:
    text = f"{HEAD}days: [{{day: 1, uploads: [{{feed: caret, rows: {{a: '1'}}, gzip: true}}]}}]\n"
    scenario = read_scenario(text.encode())
    (one,) = scenario.days[0].uploads

    assert upload_key(scenario, scenario.days[0], one, 0).endswith(".gz")
    assert gzip.decompress(upload_body(scenario, one)) == b"u000001^a\n"

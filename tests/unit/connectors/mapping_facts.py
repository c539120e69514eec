"""What each directive makes of one event, and what is wrong with mappings: facts of engage.md §7.2 as tables."""

from typing import Any, Final, TypeVar

import msgspec
import orjson

S = TypeVar("S", bound=msgspec.Struct)

EVENT: Final[dict[str, object]] = {
    "a": {"b": [{"n": 1}, {"n": 2}], "text": "Old Text", "null": None, "empty": "", "no": False, "zero": 0},
    "flag": True,
    "json": '{"x":[1]}',
}

_MERGED: Final = [{"x": 1, "y": 1}, {"@path": "$.a.b[1]"}, {"@path": "$.none"}, {"x": 2}]

FACTS: Final[list[tuple[object, object]]] = [
    # a value is wrapped as {"it": mapping}, so that what is absent shows as {}
    (7, {"it": 7}),
    (None, {"it": None}),
    ([1, {"@path": "none"}, {"@path": "flag"}], {"it": [1, None, True]}),
    ({"@path": "$."}, {"it": EVENT}),
    ({"@path": "$"}, {"it": EVENT}),
    ({"@path": "$.a.b[1].n"}, {"it": 2}),
    ({"@path": "a.b[0]"}, {"it": {"n": 1}}),
    ({"@path": "$.a.b[2].n"}, {}),
    ({"@path": "$.a.text[0]"}, {}),
    ({"@path": "$.none"}, {}),
    ({"@path": "$.a.null"}, {"it": None}),
    ({"@template": "{{ a.text }}/{{a.b[1].n}}/{{flag}}"}, {"it": "Old Text/2/true"}),
    ({"@template": "<{{none}}{{a.null}}{{a.b}}>"}, {"it": "<>"}),
    ({"@template": "plain } {"}, {"it": "plain } {"}),
    ({"@literal": {"@path": "$.flag"}}, {"it": {"@path": "$.flag"}}),
    ({"@if": {"exists": {"@path": "a.empty"}, "then": 1, "else": 2}}, {"it": 1}),
    ({"@if": {"exists": {"@path": "a.null"}, "then": 1, "else": 2}}, {"it": 2}),
    ({"@if": {"exists": {"@path": "none"}, "then": 1}}, {}),
    ({"@if": {"exists": {"@path": "flag"}, "else": 1}}, {}),
    ({"@if": {"blank": {"@path": "a.empty"}, "then": 1, "else": 2}}, {"it": 2}),
    ({"@if": {"blank": {"@path": "a.zero"}, "then": 1, "else": 2}}, {"it": 1}),
    ({"@if": {"blank": {"@path": "a.no"}, "then": {"@path": "flag"}}}, {"it": True}),
    ({"@arrayPath": ["$.a.b"]}, {"it": [{"n": 1}, {"n": 2}]}),
    ({"@arrayPath": ["$.a.b", {"of": {"@path": "$.n"}}]}, {"it": [{"of": 1}, {"of": 2}]}),
    ({"@arrayPath": [{"@path": "a.b[0]"}, {"of": {"@path": "n"}}]}, {"it": [{"of": 1}]}),
    ({"@arrayPath": ["$.none", {"of": 1}]}, {}),
    ({"@case": {"operator": "upper", "value": {"@path": "a.text"}}}, {"it": "OLD TEXT"}),
    ({"@case": {"operator": "lower", "value": {"@path": "flag"}}}, {"it": True}),
    ({"@replace": {"value": {"@path": "a.text"}, "pattern": "t"}}, {"it": "Old Tex"}),
    ({"@replace": {"value": {"@path": "a.text"}, "pattern": "t", "ignorecase": True}}, {"it": "Old ex"}),
    ({"@replace": {"value": "a.a.a", "pattern": ".", "replacement": "\\1", "global": False}}, {"it": "a\\1a.a"}),
    ({"@replace": {"value": {"@path": "flag"}, "pattern": "ru", "replacement": "o"}}, {"it": "toe"}),
    ({"@replace": {"value": "ab", "pattern": "a", "replacement": "b", "pattern2": "b"}}, {"it": ""}),
    ({"@replace": {"value": {"@path": "a.b"}, "pattern": "1"}}, {"it": [{"n": 1}, {"n": 2}]}),
    ({"@merge": {"direction": "right", "objects": _MERGED}}, {"it": {"x": 2, "y": 1, "n": 2}}),
    ({"@merge": {"direction": "left", "objects": _MERGED}}, {"it": {"x": 1, "y": 1, "n": 2}}),
    ({"@transform": {"apply": {"in": {"@path": "a.b"}}, "mapping": {"@path": "in[0].n"}}}, {"it": 1}),
    ({"@flatten": {"value": {"@path": "a.b"}, "separator": "-"}}, {"it": {"0-n": 1, "1-n": 2}}),
    ({"@flatten": {"value": {"x": {"y": [1], "z": 2}}, "separator": "."}}, {"it": {"x.y.0": 1, "x.z": 2}}),
    ({"@flatten": {"value": {"x": {"y": [1]}}, "separator": ".", "omitArrays": True}}, {"it": {"x.y": [1]}}),
    ({"@json": {"mode": "encode", "value": {"@path": "a.b"}}}, {"it": '[{"n":1},{"n":2}]'}),
    ({"@json": {"mode": "decode", "value": {"@path": "json"}}}, {"it": {"x": [1]}}),
    ({"@json": {"mode": "decode", "value": {"@path": "a.text"}}}, {"it": "Old Text"}),
    ({"@json": {"mode": "decode", "value": "[" * 300}}, {"it": "[" * 300}),
    ({"@json": {"mode": "encode", "value": {"@path": "none"}}}, {}),
    ({"@excludeWhenNull": {"@path": "a.null"}}, {}),
    ({"@excludeWhenNull": {"@path": "flag"}}, {"it": True}),
]


def nested(levels: int) -> object:
    made: object = 1
    for _ in range(levels):
        made = {"x": made}
    return made


MISTAKES: Final[list[tuple[object, str]]] = [
    ({"x": {"@path": "$.a", "b": 1}}, ".x"),
    ({"x": {"@path": "$.a", "@literal": 1}}, ".x"),
    ({"@url": "$.a"}, ""),
    ({"@path": ["a"]}, ".@path"),
    ({"@path": "a..b"}, ".@path"),
    ({"@path": "a[x]"}, ".@path"),
    ({"@template": 7}, ".@template"),
    ({"@template": "{{a"}, ".@template"),
    ({"@template": "{{}}"}, ".@template"),
    ({"@if": {"then": 1}}, ".@if"),
    ({"@if": {"exists": 1, "blank": 1, "then": 1}}, ".@if"),
    ({"@if": {"exists": 1}}, ".@if"),
    ({"@if": {"exists": 1, "then": {"@path": 7}}}, ".@if.then.@path"),
    ({"@if": {"exists": 1, "then": 1, "when": 1}}, ".@if.when"),
    ({"@arrayPath": "a"}, ".@arrayPath"),
    ({"@arrayPath": ["a", []]}, ".@arrayPath[1]"),
    ({"@arrayPath": ["a..b"]}, ".@arrayPath[0]"),
    ({"@case": {"operator": "upper"}}, ".@case.value"),
    ({"@case": []}, ".@case"),
    ({"@case": {"operator": "title", "value": "x"}}, ".@case.operator"),
    ({"@replace": {"value": "x", "pattern": "12345678901"}}, ".@replace.pattern"),
    ({"@replace": {"value": "x", "pattern": ""}}, ".@replace.pattern"),
    ({"@replace": {"value": "x", "pattern": "a", "replacement": "12345678901"}}, ".@replace.replacement"),
    ({"@replace": {"value": "x", "pattern": "a", "global": "yes"}}, ".@replace.global"),
    ({"@merge": {"objects": [], "direction": "up"}}, ".@merge.direction"),
    ({"@merge": {"objects": {}, "direction": "left"}}, ".@merge.objects"),
    ({"@transform": {"apply": {}}}, ".@transform.mapping"),
    (
        {"@transform": {"apply": {"@transform": {"apply": 1, "mapping": 1}}, "mapping": 1}},
        ".@transform.apply.@transform",
    ),
    ({"@flatten": {"value": 1, "separator": 1}}, ".@flatten.separator"),
    ({"@flatten": {"value": 1, "separator": "", "omitArrays": 1}}, ".@flatten.omitArrays"),
    ({"@json": {"mode": "read", "value": 1}}, ".@json.mode"),
    ({"@liquid": "{{ a }}"}, ".@liquid"),
    ([{"@path": "a"}] * 101, ""),
    ([{"@path": "$."}] * 100, ""),  # more than 32 KiB
    (nested(21), ".x" * 20),
    (nested(400), ""),
    (2**70, ""),
]


def encoded(mapping: object) -> bytes:
    return orjson.dumps(mapping)


def sent_whole(of: S, mapping: dict[str, Any], field: str = "destination_mapping") -> S:
    return msgspec.structs.replace(of, **{field: mapping})

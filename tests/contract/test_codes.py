"""Laws over the declared codes: each is used, each is exercised by a test, and no code is used that is not declared."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

from contracts import codes
from contracts.codes import ALL, DESTINATION_OWNER, NOBODY, OPERATOR, SENDER, Code

PROJECT = Path(__file__).parents[2]
TYPES = {"authorization", "conflict", "limit", "malformed", "not-found", "transient", "validation"}
DECLARED = {name: value for name, value in vars(codes).items() if isinstance(value, Code)}

# Tools are users: they read codes off the wire, and write none.
WRITERS = [
    path
    for folder in ("contracts", "services")
    for path in sorted((PROJECT / folder).rglob("*.py"))
    if path.name != "codes.py" and "tools" not in path.parts
]
TESTS = [
    path
    for kind in ("*.py", "*.yaml")
    for path in sorted((PROJECT / "tests").rglob(kind))
    if path != Path(__file__) and "benchmarks" not in path.parts
]


def unlawful(name: str, code: Code) -> list[str]:
    """What a declaration says that it may not say."""
    laws = {
        "its name is not its text": name == code.code.upper().replace("-", "_"),
        "its text is not words with hyphens": re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", code.code),
        "its type is none of the known": code.type in TYPES,
        "nobody known must act": code.actor in {SENDER, DESTINATION_OWNER, OPERATOR, NOBODY},
        "its title is no plain sentence of at most 60 characters": re.fullmatch(r"\w.{9,58}[\w)]", code.title),
        "it is transient, but can't be tried again": code.retryable or code.type != "transient",
        "nobody acts, but it does not pass": code.actor != NOBODY or code.retryable or code.type == "conflict",
    }
    return [f"{name}: {law}" for law, kept in laws.items() if not kept]


def named_codes(source: str) -> Iterator[str]:
    """The constants of `contracts.codes` that a module names."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Attribute(value=ast.Name(id="codes"), attr=name) if name.isupper():
                yield name
            case ast.ImportFrom(module="contracts.codes", names=names):
                yield from (one.name for one in names if one.name.isupper())


def spelt_codes(source: str, declared: Iterable[str]) -> Iterator[str]:
    """Codes that a module spells out: a declared one is a constant, and any other `code=` is undeclared."""
    known = set(declared)
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.keyword(arg="code", value=ast.Constant(value=str(text))):
                yield text
            case ast.Constant(value=str(text)) if text in known and text not in TYPES:
                yield text


def unused(declared: Iterable[str], sources: Iterable[str]) -> list[str]:
    return sorted({*declared} - {name for source in sources for name in named_codes(source)})


def unexercised(declared: Mapping[str, str], texts: Iterable[str]) -> list[str]:
    """Constants that no text names, neither as `codes.NAME` nor by the text of the code, as a whole word."""
    words = {word for text in texts for word in re.findall(r"[A-Za-z0-9_-]+", text)}
    return sorted(name for name, code in declared.items() if not {name, code} & words)


def test_every_declaration_is_lawful() -> None:
    assert {code.code: code for code in DECLARED.values()} == ALL
    assert [broken for name, code in DECLARED.items() for broken in unlawful(name, code)] == []


def test_every_declared_code_is_used() -> None:
    assert unused(DECLARED, (path.read_text() for path in WRITERS)) == []


def test_every_declared_code_is_exercised_by_a_test() -> None:
    assert unexercised({name: code.code for name, code in DECLARED.items()}, (one.read_text() for one in TESTS)) == []


def test_no_other_code_is_used() -> None:
    spelt = [
        f"{path.relative_to(PROJECT)}: {text!r}" for path in WRITERS for text in spelt_codes(path.read_text(), ALL)
    ]
    assert spelt == []


class TestTheLawsReject:
    @pytest.mark.parametrize(
        ("name", "code"),
        [
            ("GONE", Code("object-gone", "not-found", "The object was deleted", SENDER)),
            ("OBJECT_GONE", Code("Object-gone", "not-found", "The object was deleted", SENDER)),
            ("OBJECT_GONE", Code("object-gone", "missing", "The object was deleted", SENDER)),
            ("OBJECT_GONE", Code("object-gone", "not-found", "The object was deleted", "you")),
            ("OBJECT_GONE", Code("object-gone", "not-found", "The object was deleted.", SENDER)),
            ("OBJECT_GONE", Code("object-gone", "not-found", "Gone", SENDER)),
            ("OBJECT_GONE", Code("object-gone", "transient", "The object was deleted", SENDER)),
            ("OBJECT_GONE", Code("object-gone", "not-found", "The object was deleted", NOBODY)),
        ],
    )
    def test_a_declaration(self, name: str, code: Code) -> None:
        assert unlawful(name, code)

    def test_a_code_that_nothing_uses(self) -> None:
        sources = ["codes.IN_USE", "from contracts.codes import NOT_FOUND, Code", "# codes.ID_TAKEN\nids.ID_TAKEN"]
        assert unused(["IN_USE", "NOT_FOUND", "ID_TAKEN"], sources) == ["ID_TAKEN"]

    def test_a_code_that_no_test_exercises(self) -> None:
        declared = {"IN_USE": "in-use", "NOT_FOUND": "not-found", "ID_TAKEN": "id-taken"}
        assert unexercised(
            declared, ["assert code == codes.IN_USE", "expect: {code: not-found}", "id-taken-again"]
        ) == ["ID_TAKEN"]

    @pytest.mark.parametrize("source", ["problem(code='weather')", "refuse('in-use', 'detail')", "code == 'in-use'"])
    def test_a_code_that_is_spelt_out(self, source: str) -> None:
        assert len(list(spelt_codes(source, ["in-use"]))) == 1

    def test_but_not_a_declared_one(self) -> None:
        assert list(spelt_codes("problem(code=codes.IN_USE, title='in use')", ["in-use"])) == []

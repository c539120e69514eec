"""The conscience of the tree: what no formatter, linter or type checker says, each rule with what to do instead.

A rule reads one module and yields a complaint a finding. Each is shown a bad snippet, because a rule that can't fail
proves nothing.
"""

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import pytest

from contracts.catalog import topic_pages

PROJECT = Path(__file__).parents[2]
CODE = ("contracts", "services", "deploy", "tests")
MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
DECISION_LINES_MAX = 80  # one page

# The places that may ask the machine for time or luck; whoever else needs it is given a Clock or a random.Random.
CLOCK_AND_LUCK: Final = {
    "services/runtime/clock.py": "is the port",
    "services/adapters/kafka/producers.py": "spreads records without a key, and stamps them as every Kafka client does",
    "services/intake/app.py": "makes the ids of readings, which a simulation gives it",
    "services/client/client.py": "makes ids of commands as any user does",
    "services/adapters/kafka/internals.py": "compares with aiokafka's own timers, which no clock of ours moves",
    "services/tools/demo_command.py": "tells a person how long it took",
    "services/tools/local_system.py": "makes the receiver's secret",
}


@dataclass(frozen=True)
class Module:
    """One Python file; `path` is relative to the project."""

    path: str
    source: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.source)

    @cached_property
    def nodes(self) -> list[ast.AST]:
        return list(ast.walk(self.tree))

    @cached_property
    def comments(self) -> list[tuple[int, str]]:
        """(line, text) of every comment; what stands in strings is none."""
        tokens = tokenize.generate_tokens(io.StringIO(self.source).readline)
        return [(one.start[0], one.string) for one in tokens if one.type == tokenize.COMMENT]

    def within(self, *folders: str) -> bool:
        return self.path.startswith(tuple(f"{folder}/" for folder in folders))


Rule = Callable[[Module], Iterator[str]]


def modules_are_short(module: Module) -> Iterator[str]:
    lines = module.source.count("\n")
    if lines > MODULE_LINES_MAX:
        yield f"{lines} lines are more than {MODULE_LINES_MAX}: make it two modules"


def functions_are_short(module: Module) -> Iterator[str]:
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield f"{node.name} has {lines} lines, more than {FUNCTION_LINES_MAX}: name its parts"


def modules_say_what_they_own(module: Module) -> Iterator[str]:
    if module.within("contracts", "services") and module.tree.body and ast.get_docstring(module.tree) is None:
        yield "no docstring: say what it owns, what not, and who calls it"


def time_and_luck_are_given(module: Module) -> Iterator[str]:
    if not module.within("contracts", "services") or module.path in CLOCK_AND_LUCK:
        return
    asks = {
        "time": {"time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep"},
        "datetime": {"now", "utcnow", "today"},
        "date": {"today"},
        "uuid": {"uuid1", "uuid4"},
        "os": {"urandom"},
    }
    imported = {one.name for node in module.nodes if isinstance(node, ast.Import) for one in node.names}
    for node in module.nodes:
        match node:
            case ast.Attribute(value=ast.Name(id=name), attr=call) if call in asks.get(name, set()):
                yield f"line {node.lineno}: {name}.{call}: take a Clock or a random.Random"
            case ast.Attribute(value=ast.Name(id="random" | "secrets" as name), attr=call):
                if name in imported and call != "Random":
                    yield f"line {node.lineno}: {name}.{call}: take a random.Random"
            case ast.ImportFrom(module="random" | "secrets" | "time" as name):
                yield f"line {node.lineno}: from {name}: take a Clock or a random.Random"
            case _:
                pass


def the_domain_is_synchronous_and_opens_nothing(module: Module) -> Iterator[str]:
    """What import-linter can't see of "pure"."""
    if not module.within("services/domain"):
        return
    for node in module.nodes:
        match node:
            case ast.AsyncFunctionDef() | ast.Await() | ast.AsyncFor() | ast.AsyncWith():
                yield f"line {node.lineno}: the domain awaits nothing: do it in runtime, an adapter or the service"
            case ast.Call(func=ast.Name(id="open" | "input")):
                yield f"line {node.lineno}: the domain does no I/O: take the bytes"
            case _:
                pass


def nobody_imports_what_is_not_installed(module: Module) -> Iterator[str]:
    """Tests and deployment are no part of the package; the command may try for the local stack."""
    if not module.within("contracts", "services"):
        return
    for node in module.nodes:
        match node:
            case ast.ImportFrom(module=str(name), level=0):
                names = [name]
            case ast.Import(names=imported):
                names = [one.name for one in imported]
            case _:
                continue
        if {"tests"} & {name.split(".")[0] for name in names}:
            yield f"line {node.lineno}: imports tests: move what both need into the package"
        elif {"deploy"} & {name.split(".")[0] for name in names} and not module.within("services/tools"):
            yield f"line {node.lineno}: imports deploy: it is absent from a production install"


def nobody_prints(module: Module) -> Iterator[str]:
    if module.within("services/tools", "deploy") or not module.within("contracts", "services"):
        return
    for node in module.nodes:
        match node:
            case ast.Call(func=ast.Name(id="print")):
                yield f"line {node.lineno}: print: log an event"
            case _:
                pass


def broad_handlers_have_a_reason(module: Module) -> Iterator[str]:
    """A handler that ends in a bare `raise` swallows nothing."""
    reasoned = {number for number, text in module.comments if re.match(r"# noqa: (BLE001|E722) - \S", text)}
    for node in module.nodes:
        match node:
            case ast.ExceptHandler(body=[*_, ast.Raise(exc=None)]):
                continue
            case ast.ExceptHandler(type=None):
                broad = True
            case ast.ExceptHandler(type=ast.Name(id="Exception" | "BaseException")):
                broad = True
            case ast.ExceptHandler(type=ast.Tuple(elts=caught)):
                broad = any(isinstance(one, ast.Name) and one.id in ("Exception", "BaseException") for one in caught)
            case _:
                continue
        if broad and node.lineno not in reasoned:
            yield f"line {node.lineno}: catches everything: name the exceptions, or give noqa BLE001 and a reason"


def ignores_have_a_reason(module: Module) -> Iterator[str]:
    reasoned = r"# (noqa: [A-Z]+\d+(, [A-Z]+\d+)* -|type: ignore\[[a-z-]+(, ?[a-z-]+)*\]  ?#) \S"
    for number, text in module.comments:
        if re.match(r"#\s*(noqa|type:\s*ignore)\b", text) and not re.match(reasoned, text):
            yield f"line {number}: {text}: give the code and the reason"


def no_test_sleeps(module: Module) -> Iterator[str]:
    """But a loop that polls may, between two looks, and so may a clock's own `sleep`."""
    if not module.within("tests") or module.within("tests/simulation"):  # there, time is virtual
        return
    allowed = {
        inner
        for node in module.nodes
        if isinstance(node, ast.While) or (isinstance(node, ast.AsyncFunctionDef) and node.name == "sleep")
        for inner in ast.walk(node)
    }
    for node in module.nodes:
        match node:
            case ast.Call(func=ast.Name(id="sleep") | ast.Attribute(attr="sleep"), args=args) if node not in allowed:
                if not (args and isinstance(args[0], ast.Constant) and args[0].value == 0):
                    yield f"line {node.lineno}: sleep: poll with a deadline, or move a clock"
            case _:
                pass


def nothing_is_left_over(module: Module) -> Iterator[str]:
    for number, text in module.comments:
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b", text):
            yield f"line {number}: a leftover: do it, or file an issue"


def topics_are_named_once(module: Module) -> Iterator[str]:
    if module.path == "contracts/catalog.py":
        return
    for node in module.nodes:
        match node:
            case ast.Constant(value=str(text)) if text.removeprefix("usher.") in topic_pages():
                yield f"line {node.lineno}: {text!r}: use the constant of contracts.catalog"
            case _:
                pass


def names_say_something(module: Module) -> Iterator[str]:
    empty = r"(utils?|helpers?|common|managers?|misc)"
    if re.search(rf"(^|[/_]){empty}([/_.]|$)", module.path.replace("google_data_manager", "")):  # a product's name
        yield "its name says nothing: name what it owns"
    for node in module.nodes:
        if isinstance(node, ast.ClassDef) and re.search(r"(Util|Helper|Manager|Misc)s?$", node.name):
            yield f"line {node.lineno}: {node.name} says nothing: name what it is"


RULES: list[Rule] = [
    modules_are_short,
    functions_are_short,
    modules_say_what_they_own,
    time_and_luck_are_given,
    the_domain_is_synchronous_and_opens_nothing,
    nobody_imports_what_is_not_installed,
    nobody_prints,
    broad_handlers_have_a_reason,
    ignores_have_a_reason,
    no_test_sleeps,
    nothing_is_left_over,
    topics_are_named_once,
    names_say_something,
]

MODULES = [
    Module(str(path.relative_to(PROJECT)), path.read_text())
    for folder in CODE
    for path in sorted((PROJECT / folder).rglob("*.py"))
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_tidy(rule: Rule) -> None:
    assert [f"{module.path}: {complaint}" for module in MODULES for complaint in rule(module)] == []


def test_a_decision_is_one_page() -> None:
    decisions = PROJECT / "services" / "decisions"
    assert [path.name for path in decisions.glob("*.md") if path.read_text().count("\n") > DECISION_LINES_MAX] == []


def test_no_exception_is_kept_for_what_is_gone() -> None:
    paths = {module.path for module in MODULES}
    assert CLOCK_AND_LUCK.keys() - paths == set()


SERVICE, TEST = "services/control/app.py", "tests/unit/test_x.py"
BAD: list[tuple[Rule, str, str]] = [
    (modules_are_short, SERVICE, "x = 1\n" * 401),
    (functions_are_short, SERVICE, "def f():\n" + "    x = 1\n" * 60),
    (functions_are_short, TEST, "class A:\n    async def f(self):\n" + "        x = 1\n" * 60),
    (modules_say_what_they_own, SERVICE, "import ast\n"),
    (modules_say_what_they_own, "contracts/x.py", "# a comment is none\nX = 1\n"),
    (time_and_luck_are_given, SERVICE, "import time\nat = time.time()\n"),
    (time_and_luck_are_given, SERVICE, "import time\nask = time.monotonic\n"),
    (time_and_luck_are_given, SERVICE, "from time import time_ns\n"),
    (time_and_luck_are_given, SERVICE, "at = datetime.now(UTC)\n"),
    (time_and_luck_are_given, "contracts/x.py", "day = date.today()\n"),
    (time_and_luck_are_given, SERVICE, "import random\nx = random.random()\n"),
    (time_and_luck_are_given, SERVICE, "id = uuid.uuid4()\n"),
    (the_domain_is_synchronous_and_opens_nothing, "services/domain/x.py", "async def f():\n    pass\n"),
    (the_domain_is_synchronous_and_opens_nothing, "services/domain/x.py", "text = open(path).read()\n"),
    (nobody_imports_what_is_not_installed, "services/tools/x.py", "def f():\n    from tests.unit import making\n"),
    (nobody_imports_what_is_not_installed, SERVICE, "import deploy.local.stack\n"),
    (nobody_prints, SERVICE, "print('hello')\n"),
    (broad_handlers_have_a_reason, SERVICE, "try:\n    f()\nexcept Exception:\n    pass\n"),
    (broad_handlers_have_a_reason, SERVICE, "try:\n    f()\nexcept:\n    pass\n"),
    (broad_handlers_have_a_reason, TEST, "try:\n    f()\nexcept (ValueError, BaseException) as error:\n    pass\n"),
    (broad_handlers_have_a_reason, SERVICE, "try:\n    f()\nexcept Exception:  # noqa: BLE001\n    pass\n"),
    (ignores_have_a_reason, SERVICE, "x = 1  # noqa\n"),
    (ignores_have_a_reason, SERVICE, "x = 1  # noqa: E501\n"),
    (ignores_have_a_reason, TEST, "x = 1  # type: ignore\n"),
    (ignores_have_a_reason, TEST, "x = 1  # type: ignore[arg-type]\n"),
    (no_test_sleeps, TEST, "await asyncio.sleep(0.1)\n"),
    (no_test_sleeps, TEST, "time.sleep(seconds)\n"),
    (no_test_sleeps, TEST, "for one in range(10):\n    sleep(1)\n"),
    (nothing_is_left_over, SERVICE, "x = 1  # TODO: more\n"),
    (nothing_is_left_over, TEST, "# FIXME\n"),
    (topics_are_named_once, SERVICE, "TOPIC = 'commands.v1'\n"),
    (topics_are_named_once, TEST, "TOPIC = 'usher.membership.changes.v1'\n"),
    (names_say_something, "services/domain/utils.py", ""),
    (names_say_something, "services/common/app.py", ""),
    (names_say_something, "tests/unit/test_helpers.py", ""),
    (names_say_something, SERVICE, "class SpaceManager:\n    pass\n"),
]  # fmt: skip
GOOD: list[tuple[Rule, str, str]] = [
    (modules_are_short, SERVICE, "x = 1\n" * 400),
    (functions_are_short, SERVICE, "def f():\n" + "    x = 1\n" * 59),
    (modules_say_what_they_own, "services/control/__init__.py", ""),
    (time_and_luck_are_given, SERVICE, "from datetime import date\nlater = clock.now_ms() + date.max.day\n"),
    (time_and_luck_are_given, SERVICE, "import random\ndef f(chance: random.Random): return chance.random()\n"),
    (time_and_luck_are_given, SERVICE, "def names(secrets): return secrets.items()\n"),
    (time_and_luck_are_given, TEST, "import time\nat = time.monotonic()\n"),
    (the_domain_is_synchronous_and_opens_nothing, SERVICE, "async def f():\n    pass\n"),
    (nobody_imports_what_is_not_installed, "services/tools/x.py", "from deploy.local import stack\n"),
    (nobody_imports_what_is_not_installed, SERVICE, "from services.runtime import deploy\nfrom .tests import x\n"),
    (nobody_prints, "services/tools/play.py", "print('day 1')\n"),
    (broad_handlers_have_a_reason, SERVICE, "try:\n    f()\nexcept ValueError:\n    pass\n"),
    (broad_handlers_have_a_reason, SERVICE, "try:\n    f()\nexcept BaseException:\n    undo()\n    raise\n"),
    (broad_handlers_have_a_reason, SERVICE, "try:\n    f()\nexcept Exception:  # noqa: BLE001 - a plugin\n    pass\n"),
    (ignores_have_a_reason, SERVICE, "x = 1  # noqa: N818 - the field's term\n"),
    (ignores_have_a_reason, TEST, "x = 1  # type: ignore[arg-type]  # wrong on purpose\n"),
    (no_test_sleeps, TEST, "await asyncio.sleep(0)\n"),
    (no_test_sleeps, TEST, "while not done():\n    assert now() < deadline\n    time.sleep(0.01)\n"),
    (no_test_sleeps, TEST, "async def sleep(seconds):\n    await asyncio.sleep(seconds / 10)\n"),
    (ignores_have_a_reason, TEST, "BAD = 'x = 1  # noqa'\n"),
    (nothing_is_left_over, SERVICE, "# todo lists are no leftovers\nBAD = '# TODO'\n"),
    (topics_are_named_once, "contracts/catalog.py", "COMMANDS = 'commands.v1'\n"),
    (names_say_something, "services/domain/commons.py", "class Managed:\n    pass\n"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "path", "source"), BAD)
def test_the_rule_finds_the_bad_snippet(rule: Rule, path: str, source: str) -> None:
    assert len(list(rule(Module(path, source)))) == 1


@pytest.mark.parametrize(("rule", "path", "source"), GOOD)
def test_the_rule_lets_the_good_snippet_pass(rule: Rule, path: str, source: str) -> None:
    assert list(rule(Module(path, source))) == []


def test_every_rule_has_a_bad_snippet() -> None:
    assert {rule for rule, _, _ in BAD} == set(RULES)

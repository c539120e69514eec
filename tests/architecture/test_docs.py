"""Documents run: every command in a fenced `sh` block is one that exists, and what README points to is there."""

import importlib.util
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import CycloptsError

PROJECT = Path(__file__).parents[2]
DOCUMENTS = [
    PROJECT / "README.md",
    *(
        path
        for folder in ("contracts", "services", "deploy", "tests")
        for path in sorted((PROJECT / folder).rglob("*.md"))
    ),
]
README_LINES_MAX = 150
SHELL_WORDS = {".", "cd", "cp", "curl", "export", "git", "kill", "printf"}  # the reader's own, and not ours to check
TARGETS = set(re.findall(r"^([a-z-]+):", (PROJECT / "Makefile").read_text(), re.MULTILINE))


def commands(document: str) -> Iterator[list[str]]:
    """The simple commands of all `sh` blocks, as words; here-documents, redirections and comments left out."""
    for block in re.findall(r"^```sh\n(.*?)^```", document, re.MULTILINE | re.DOTALL):
        text = re.sub(r"<<-?\s*(['\"]?)(\w+)\1(.*)\n(?:.*\n)*?\2\n", r"\3\n", block)
        for line in text.replace("\\\n", " ").splitlines():
            words = shlex.shlex(line, posix=True, punctuation_chars=True)
            words.whitespace_split = True
            yield from _simple(list(words))


def _simple(words: list[str]) -> Iterator[list[str]]:
    command: list[str] = []
    redirected = False
    for word in words:
        if redirected:
            redirected = False
        elif set(word) <= set("<>&|;"):
            redirected = word in ("<", ">", ">>")
            if not redirected and command:
                yield command
                command = []
        elif command or not re.match(r"[A-Z_]+=", word):  # a variable before its command
            command.append(word)
    if command:
        yield command


def wrong(command: list[str]) -> str | None:
    """What is wrong with a command, None where it would be understood."""
    match command:
        case ["make", *targets]:
            missing = [target for target in targets if target not in TARGETS]
            return f"no target {missing}" if missing else None
        case [".venv/bin/usher" | "usher", *words]:
            return _not_understood(words)
        case [".venv/bin/python" | "python" | "python3", "-m", module, *_]:
            return None if importlib.util.find_spec(module) else f"no module {module}"
        case [".venv/bin/pytest" | ".venv/bin/ruff" | ".venv/bin/mypy" as program, *_]:
            return None if (PROJECT / program).exists() else f"no {program}"
        case [word, *_] if word in SHELL_WORDS:
            return None
        case _:
            return "nobody knows whether this runs"


def _not_understood(words: list[str]) -> str | None:
    from services.tools.cli import app  # only where a document names it: it brings in the whole command

    try:
        called, *_ = app.parse_args(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return str(error)
    return "it only prints help" if called.__name__ == "help_print" else None


def missing(document: str, root: Path) -> list[str]:
    """Paths in backticks, to a document or folder, that lead nowhere."""
    return [path for path in re.findall(r"`([\w./-]+(?:\.md|/))`", document) if not (root / path).exists()]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_command_in_a_document_would_be_understood(path: Path) -> None:
    found = {" ".join(command): wrong(command) for command in commands(path.read_text())}
    assert {command: why for command, why in found.items() if why} == {}


def test_readme_is_short_and_points_to_what_exists() -> None:
    readme = (PROJECT / "README.md").read_text()
    assert readme.count("\n") < README_LINES_MAX
    assert missing(readme, PROJECT) == []


def test_every_target_is_phony_or_a_file_of_ours() -> None:
    declared = set(re.findall(r"^\.PHONY: (.*)$", (PROJECT / "Makefile").read_text(), re.MULTILINE)[0].split())
    assert declared == TARGETS


class TestTheLawsReject:
    @pytest.mark.parametrize(
        "command",
        [
            "make weather",
            "make test weather",
            "usher",
            "usher weather",
            "usher stack",
            "usher stack sideways",
            "usher run weather",
            "usher tail changes --weather",
            "python -m contracts.weather",
            "weather --now",
        ],
    )
    def test_a_command_that_does_not_exist(self, command: str) -> None:
        assert wrong(command.split())

    @pytest.mark.parametrize("command", ["make test", "usher stack up", "python -m contracts.catalog", "printf hello"])
    def test_but_not_one_that_does(self, command: str) -> None:
        assert wrong(command.split()) is None

    def test_a_path_to_nothing(self) -> None:
        assert missing("see `contracts/README.md`, `weather/` and `weather.md`", PROJECT) == ["weather/", "weather.md"]


def test_commands_are_read_as_a_shell_reads_them() -> None:
    document = """
```sh
make demo   # with a comment
A=1 usher send - <<'LINES' > /tmp/replies
{"type": "no command"}
LINES
printf 'a;b\\n' | usher send - && usher audit
usher play \\
  one.yaml
```
```json
usher weather
```
"""
    assert list(commands(document)) == [
        ["make", "demo"],
        ["usher", "send", "-"],
        ["printf", "a;b\\n"],
        ["usher", "send", "-"],
        ["usher", "audit"],
        ["usher", "play", "one.yaml"],
    ]

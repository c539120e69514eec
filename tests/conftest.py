"""The real Kafka and S3 that tests marked `broker` run on: started once a session, private to it.

`--stack local` (the default) starts one in a temporary folder, or, with USHER_TEST_REUSE_STACK=1, joins the one that
`usher stack up` left running here. `--stack external` takes the USHER_* addresses of the environment,
`--stack containers` asks a Docker engine. A default stack that cannot be had skips its tests, and the last line of
the run says so; one that was asked for fails them.
What runs a stack is imported only when one is wanted: unit tests neither wait for it nor need it installed.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from deploy.local.state import StackError, StackState, read_state

if TYPE_CHECKING:
    from xdist.remote import Producer

    from deploy.local.session import Broker

# Two cores that a broker shares make any time limit for one example a matter of luck.
settings.register_profile("shared-machine", deadline=None, derandomize="CI" in os.environ, print_blob=True)
settings.load_profile("shared-machine")

PROJECT = Path(__file__).parents[1]
NO_STACK = "no stack: "
_WITH_BROKER = ("tests/broker/", "tests/conformance/")
_JARS_MISSING = pytest.StashKey[str]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds `--stack`; its absence differs from its default only in what a missing stack does."""
    parser.addoption(
        "--stack", choices=["local", "external", "containers"], help="where Kafka and S3 are (default: local)"
    )


def pytest_configure() -> None:
    """SIGTERM ends a run as Ctrl-C does, fixtures and all: a stack that was left running would hold its ports for ever."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


class _OneBroker(LoadScopeScheduling):  # type: ignore[misc] # xdist ships no types
    """Of the processes of a parallel run one has all tests that need a broker; of the others' files any has any.

    xdist's own groups are the end of a node's id, which pytest 9.2 no longer lets it change.
    """

    def _split_scope(self, nodeid: str) -> str:
        return "broker" if nodeid.startswith(_WITH_BROKER) else nodeid.partition("::")[0]


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_xdist_make_scheduler(config: pytest.Config, log: "Producer") -> LoadScopeScheduling:
    return _OneBroker(config, log)


@pytest.hookimpl(optionalhook=True)  # xdist's
def pytest_xdist_setupnodes(config: pytest.Config) -> None:
    """Before the processes of a parallel run are there, lest each fetches the jars."""
    _fetch_jars(config)


def pytest_collection_finish(session: pytest.Session) -> None:
    """Before any test's clock runs."""
    if any(item.get_closest_marker("broker") for item in session.items):
        _fetch_jars(session.config)


def _fetch_jars(config: pytest.Config) -> None:
    # Once for this user.
    if config.getoption("--stack") in {"external", "containers"} or config.option.collectonly:
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    try:
        from deploy.local.jars import kafka_jars

        kafka_jars(reporter.write_line if reporter else print)
    except (StackError, ImportError) as error:
        config.stash[_JARS_MISSING] = str(error)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says in one loud line how many tests had no stack to run on."""
    reasons = [
        report.longrepr[2]
        for report in terminalreporter.stats.get("skipped", [])
        if isinstance(report.longrepr, tuple) and NO_STACK in report.longrepr[2]
    ]
    if reasons:
        reason = reasons[0].partition(NO_STACK)[2].partition("\n")[0]
        terminalreporter.write_line(f"NOT TESTED: {len(reasons)} tests need Kafka and S3: {reason}", red=True)


@pytest.fixture(scope="session")
def stack_root(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder whose `.usher/` holds the session's stack."""
    joined = os.environ.get("USHER_TEST_REUSE_STACK") == "1" and _chosen(request) in {None, "local"}
    return PROJECT if joined else tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest, stack_root: Path) -> Iterator[StackState]:
    """The addresses of a running Kafka and S3; nothing global is set. The topics are the tests' to create."""
    with contextlib.ExitStack() as held:
        try:
            if stack_root == PROJECT:
                state = _running()
            elif _chosen(request) == "external":
                state = _given(stack_root)
            else:
                state = held.enter_context(_private(request, stack_root))
        except (StackError, ImportError) as error:
            if _chosen(request) or stack_root == PROJECT:
                raise
            pytest.skip(f"{NO_STACK}{error}")
        yield state


@pytest.fixture
def broker(stack: StackState, stack_root: Path) -> Iterator["Broker"]:
    """The session's broker, to be killed, stopped and restarted; it runs again when the test is over."""
    from deploy.local.session import Broker

    if stack.process("kafka") is None:
        pytest.skip("the given Kafka is not ours to end")
    broker = Broker(stack_root)
    yield broker
    broker.restart()


def _chosen(request: pytest.FixtureRequest) -> str | None:
    chosen: str | None = request.config.getoption("--stack")
    return chosen


def _private(
    request: pytest.FixtureRequest, folder: Path
) -> contextlib.AbstractContextManager[StackState, bool | None]:
    from deploy.local.session import session_stack

    if reason := request.config.stash.get(_JARS_MISSING, ""):
        raise StackError(reason)
    return session_stack(folder, containers=_chosen(request) == "containers")


def _given(folder: Path) -> StackState:
    from deploy.local.stack import up

    missing = {"USHER_KAFKA_BOOTSTRAP_SERVERS", "USHER_S3_ENDPOINT_URL"} - os.environ.keys()
    if missing:
        raise StackError(f"--stack external needs {' and '.join(sorted(missing))} in the environment")
    return up(folder, say=print)


def _running() -> StackState:
    from deploy.local.stack import liveness

    state = read_state(PROJECT)
    if state is None or not set(liveness(state).values()) <= {"given", "running"}:
        raise StackError(f"USHER_TEST_REUSE_STACK=1, but no stack runs at {PROJECT}; `usher stack up` starts it")
    return state

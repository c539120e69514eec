"""Structured logs on stderr: one JSON object a line, or readable lines on a terminal; called once by `lifecycle`."""

import logging
import sys
from collections.abc import Sequence
from typing import Final

import structlog
from structlog.typing import Processor

_LIBRARIES_LEVEL: Final = logging.WARNING  # what client libraries tell below that is about their own insides
_ALIKE_SECONDS: Final = 10.0
_KINDS_MAX: Final = 1_000


def configure_logs(service: str, level: str) -> None:
    """From here on every line carries `service`, and libraries that use stdlib logging write the same form."""
    shared: Sequence[Processor] = (
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    )
    # Plain tracebacks: the pretty ones show local variables, and those hold identifiers.
    rendering: Sequence[Processor] = (
        (structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback),)
        if sys.stderr.isatty()
        else (structlog.processors.format_exc_info, structlog.processors.JSONRenderer())
    )
    structlog.configure(
        processors=[*shared, *rendering],
        wrapper_class=structlog.make_filtering_bound_logger(level.lower()),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(service=service)
    handler = logging.StreamHandler(sys.stderr)
    foreign = (*shared, structlog.stdlib.add_logger_name)
    insides = structlog.stdlib.ProcessorFormatter.remove_processors_meta
    handler.addFilter(Seldom())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processors=(insides, *rendering), foreign_pre_chain=foreign)
    )
    logging.basicConfig(handlers=[handler], level=_LIBRARIES_LEVEL, force=True)
    logging.captureWarnings(capture=True)


class Seldom(logging.Filter):
    """Of lines of a library that are alike but for their arguments one in ten seconds, with how many were left out.

    Clients of brokers that are away say so hundreds of times a second. Whatever brings a traceback is told always.
    """

    def __init__(self) -> None:
        super().__init__()
        self._told: dict[tuple[str, str], tuple[float, int]] = {}  # when last, and how many were left out since

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info:
            return True
        kind = record.name, str(record.msg)
        told, left_out = self._told.get(kind, (0.0, 0))
        if record.created - told < _ALIKE_SECONDS:
            self._told[kind] = told, left_out + 1
            return False
        if left_out:
            record.msg = f"{record.msg} (and {left_out} alike)"
        if len(self._told) >= _KINDS_MAX:  # of a library that writes its arguments into the text
            self._told.clear()
        self._told[kind] = record.created, 0
        return True

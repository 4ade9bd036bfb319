# SPDX-License-Identifier: EUPL-1.2

"""Structured logs: one line per event, as JSON for machines or as text for people.

Every line has a stable ``action`` (``noun.verb``) to search and alert on. What belongs to one message (its
message id, conversation, verzoeknummer) is bound once, with `bound`, and appears on every line logged while
it is bound, also on lines of third-party libraries, which go through the same renderer.
"""

import logging
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

LogFormat = Literal["json", "console"]

_CHATTY = ("alembic.runtime.plugins",)
"""Loggers of libraries whose information is of no use to an operator."""

_HEAD = ("timestamp", "level", "logger", "event", "action", "exception", "stack")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return the logger of a module; one made before `configure_logs` is called obeys it afterwards."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return logger


def configure_logs(
    log_format: LogFormat = "json",
    level: str = "info",
    *,
    strict: bool = False,
    stream: TextIO | None = None,
) -> None:
    """Send all logs of this process, structlog's and those of the standard library, to one stream.

    Args:
        log_format: ``json`` or ``console``.
        level: name of the lowest level that is shown, in any case (``info``, ``WARNING``).
        strict: raise `ValueError` for a line of ours without ``action``. Tests do so; in production such a
            line gets its logger's name as action, because a log line must never break the work it reports on.
        stream: where lines go; standard error if not given, since standard output is for results.

    Raises:
        ValueError: the level is not known.

    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"unknown log level {level!r}; use debug, info, warning, error or critical")
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *_common_processors(),
            _require_action if strict else _default_action,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream if stream is not None else sys.stderr)
    handler.setFormatter(_formatter(log_format))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(number)
    logging.captureWarnings(True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(number, logging.WARNING))


def bind(**fields: object) -> None:
    """Put fields on every following line of the current task (and of tasks it starts afterwards)."""
    structlog.contextvars.bind_contextvars(**fields)


def unbind(*names: str) -> None:
    """Take fields that `bind` put off again; names that are not bound are ignored."""
    structlog.contextvars.unbind_contextvars(*names)


@contextmanager
def bound(**fields: object) -> Iterator[None]:
    """Put fields on every line logged inside the ``with`` block, and restore afterwards what was bound."""
    with structlog.contextvars.bound_contextvars(**fields):
        yield


def _common_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
    ]


def _formatter(log_format: LogFormat) -> logging.Formatter:
    renderer: Processor = structlog.processors.JSONRenderer() if log_format == "json" else _render_console
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_common_processors(), _foreign_action],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
    )


def _require_action(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if not event.get("action"):
        raise ValueError(f"this log line has no action: {event.get('event')!r}; add action='noun.verb'")
    return event


def _default_action(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    if not event.get("action"):
        event["action"] = event.get("logger", "unknown")
    return event


def _foreign_action(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    event["action"] = f"log.{event.get('logger', 'unknown')}"
    return event


def _render_console(_: WrappedLogger, __: str, event: Mapping[str, object]) -> str:
    """Render one event as one line; only a traceback adds lines, marked so that none can pose as an event."""
    fields = [f"action={_plain(event.get('action'))}"]
    fields += [f"{_plain(key)}={_value(value)}" for key, value in event.items() if key not in _HEAD]
    line = " ".join(
        (
            _plain(event.get("timestamp")),
            f"{_plain(event.get('level')):<8}",
            f"{_plain(event.get('event'))}  [{_plain(event.get('logger'))}]",
            *fields,
        )
    )
    blocks = [str(event[key]) for key in ("exception", "stack") if event.get(key)]
    traceback = [f"    | {_plain(text)}" for block in blocks for text in block.splitlines()]
    return "\n".join([line, *traceback])


def _plain(value: object) -> str:
    # A peer chooses file names, headers and ids: control characters and line separators would let it write
    # log lines of its own or drive the terminal of who reads them.
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in str(value))


def _value(value: object) -> str:
    text = _plain(value)
    if isinstance(value, str) and (not text or any(c in text for c in ' ="')):
        return '"' + text.replace('"', '\\"') + '"'
    return text

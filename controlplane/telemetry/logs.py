"""Structured logs: one JSON object per line on standard error, whichever logger it came through.

Each line has ``timestamp`` (UTC), ``level``, ``logger``, ``event``, and when known ``correlation_id`` and what ``bind`` added
(run, step). Use ``structlog.get_logger(__name__)`` with keyword values, or plain ``logging``.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from controlplane.telemetry.context import bound, correlation_id
from controlplane.telemetry.domain.redaction import redact

_PLAIN = frozenset({"timestamp", "level", "logger", "correlation_id"})


def add_context(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Stamp the correlation id and the bound values; values given on the line itself win."""
    if found := correlation_id():
        event.setdefault("correlation_id", found)
    for name, value in bound().items():
        event.setdefault(name, value)
    return event


def redact_event(_logger: WrappedLogger, _method: str, event: EventDict) -> MutableMapping[str, Any]:
    """Last step before rendering, when exceptions are text already."""
    return {name: value if name in _PLAIN else redact(value, name=name) for name, value in event.items()}


def _shared() -> list[Processor]:
    return [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_context,
    ]


def logging_config(*, level: str) -> dict[str, Any]:
    """Django's LOGGING (a ``logging.config.dictConfig``); routes structlog through the standard library as well."""
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    formatter = {
        "()": structlog.stdlib.ProcessorFormatter,
        "foreign_pre_chain": [*_shared(), structlog.stdlib.ExtraAdder()],
        "processors": [
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            structlog.processors.UnicodeDecoder(),
            redact_event,
            structlog.processors.JSONRenderer(sort_keys=False, ensure_ascii=False, default=str),
        ],
    }
    quiet = {"level": "WARNING" if level != "ERROR" else level}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": formatter},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}},
        "root": {"level": level, "handlers": ["stderr"]},
        "loggers": {
            # Their own handlers would print a second, unstructured line.
            "django": {"level": level, "handlers": [], "propagate": True},
            "django.server": {"level": "WARNING", "handlers": [], "propagate": True},
            "django.request": {"level": "ERROR", "handlers": [], "propagate": True},
            "celery": {"level": level, "handlers": [], "propagate": True},
            # One line per task each; our own task line says more.
            "celery.worker.strategy": quiet,
            "celery.app.trace": quiet,
            "httpx": quiet,
            "httpcore": quiet,
        },
    }

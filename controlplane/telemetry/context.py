"""What is being done, and on whose behalf: carried with the thread or task, stamped on logs, messages, audit and spans."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

__all__ = ["bind", "bound", "correlation_id", "correlation_id_new", "correlation_id_valid"]

_correlation: ContextVar[str] = ContextVar("touchstone_correlation_id", default="")
_bound: ContextVar[Mapping[str, str]] = ContextVar("touchstone_bound", default={})  # noqa: B039  (never changed in place)

_VALID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")


def correlation_id() -> str:
    """The correlation id of the work at hand; empty outside a request, task or ``bind``."""
    return _correlation.get()


def correlation_id_new() -> str:
    """A fresh id: 32 hexadecimal digits, as a W3C trace id has."""
    return uuid.uuid4().hex


def correlation_id_valid(value: str) -> bool:
    """Whether an id that came from outside may enter logs and headers (1 to 64 plain characters)."""
    return _VALID.fullmatch(value) is not None


def bound() -> Mapping[str, str]:
    """The values bound around the work at hand, such as run and step."""
    return _bound.get()


@contextmanager
def bind(*, correlation_id: str | None = None, **values: object) -> Iterator[str]:
    """Run a block under a correlation id, and with values that stand in each of its log lines.

    Without an id the present one stays; when there is none, a new one is made. Yields the id.
    """
    chosen = correlation_id or _correlation.get() or correlation_id_new()
    id_token = _correlation.set(chosen)
    bound_token = _bound.set({**_bound.get(), **{name: str(value) for name, value in values.items()}})
    try:
        yield chosen
    finally:
        _bound.reset(bound_token)
        _correlation.reset(id_token)

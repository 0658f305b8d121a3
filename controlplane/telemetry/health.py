"""Is this installation ready to serve? A registry of checks; each part adds its own in ``AppConfig.ready``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

__all__ = ["NotReady", "Part", "readiness", "register"]

log = structlog.get_logger(__name__)

Check = Callable[[], str]
_checks: dict[str, Check] = {}


class NotReady(Exception):
    """A part is not ready; the message is shown to anybody, so it names no address and no secret."""


@dataclass(frozen=True)
class Part:
    """State of one part: ``detail`` is fit to be shown."""

    name: str
    ok: bool
    detail: str
    duration_ms: float


def register(name: str, check: Check) -> None:
    """Add a check: returns a short detail, or raises (NotReady with a message to show, anything else as 'failed')."""
    _checks[name] = check


def readiness() -> list[Part]:
    """Run every check, each in its own try, so that one fault does not hide another."""
    return [_run(name, check) for name, check in _checks.items()]


def _run(name: str, check: Check) -> Part:
    started = time.perf_counter()
    try:
        ok, detail = True, check()
    except NotReady as fault:
        ok, detail = False, str(fault)
    except Exception as fault:
        log.warning("readiness check failed", part=name, error=str(fault))
        ok, detail = False, f"failed: {type(fault).__name__}"
    return Part(name, ok, detail, round((time.perf_counter() - started) * 1000, 1))


def check_database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('server_version_num')::int / 10000")
        (major,) = cursor.fetchone()
    return f"PostgreSQL {major}"


def check_migrations() -> str:
    executor = MigrationExecutor(connection)
    waiting = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if waiting:
        raise NotReady(f"{len(waiting)} migrations are not applied; run: manage.py migrate")
    return "applied"


def check_redis() -> str:
    import redis

    with redis.Redis.from_url(settings.REDIS_URL, socket_connect_timeout=2, socket_timeout=2) as client:
        client.ping()
    return "answers"

"""System checks of the settings: what is wrong, and how to mend it. Run by ``manage.py check`` and before every migration.

Each function names its ids. Errors stop the start, warnings do not. Registered by ``controlplane.home``.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from controlplane.settings.env import Env, EnvFault, lineage_targets

TAG = "touchstone"
REACH_TIMEOUT_S = 2.0
POSTGRES_SCHEMES = ("postgresql", "postgres")
REDIS_SCHEMES = ("redis", "rediss", "unix")
BROKER_SCHEMES = (*REDIS_SCHEMES, "amqp", "amqps", "sentinel")
LAKE_SCHEMES = ("", "file", "s3", "s3a", "abfs", "abfss", "az", "gs")


def environment_faults(faults: Iterable[EnvFault]) -> list[CheckMessage]:
    """E001: a variable that could not be read; it has its default meanwhile."""
    return [
        Error(
            f"{fault.variable} cannot be read: {fault.reason}.",
            hint=f"{fault.variable} is: {fault.help}. Unset it to use the default.",
            id="touchstone.E001",
        )
        for fault in faults
    ]


def home_faults(home: Path, chosen: Path) -> list[CheckMessage]:
    """E002: HOME cannot be written. W001: a relative HOME given from outside of the checkout."""
    found: list[CheckMessage] = []
    if not os.access(home, os.W_OK | os.X_OK):
        found.append(
            Error(
                f"TOUCHSTONE_HOME, {home}, cannot be written by this account.",
                hint="Give the folder to the account that runs Touchstone, or set TOUCHSTONE_HOME to another one.",
                id="touchstone.E002",
            )
        )
    if not chosen.is_absolute() and ".." in chosen.parts:
        found.append(
            Warning(
                f"TOUCHSTONE_HOME={chosen} is relative to the checkout and leaves it: state lies in {home}.",
                hint="Use an absolute path.",
                id="touchstone.W001",
            )
        )
    return found


def engine_faults(env: Env) -> list[CheckMessage]:
    """E003: the engine Spark without an address. E004: an address that is not Spark Connect's."""
    if env.engine == "spark" and not env.spark_remote:
        return [
            Error(
                "TOUCHSTONE_ENGINE=spark, but SPARK_REMOTE is not set.",
                hint="Set SPARK_REMOTE=sc://host:15002 (Spark Connect), or TOUCHSTONE_ENGINE=duckdb.",
                id="touchstone.E003",
            )
        ]
    if env.spark_remote and not env.spark_remote.startswith("sc://"):
        return [
            Error(
                f"SPARK_REMOTE={env.spark_remote} is not an address of Spark Connect.",
                hint="It starts with sc://, for example sc://spark.example.org:15002.",
                id="touchstone.E004",
            )
        ]
    return []


def address_faults(env: Env) -> list[CheckMessage]:
    """E005: an address with the wrong scheme or without a host."""
    expected = [
        ("DATABASE_URL", env.database_url, POSTGRES_SCHEMES, "postgresql://user:password@host:5432/touchstone"),
        ("REDIS_URL", env.redis_url, REDIS_SCHEMES, "redis://:password@host:6379/0"),
        ("CELERY_BROKER_URL", env.broker_url, BROKER_SCHEMES, "redis://host:6379/1 or amqp://user:password@host//"),
        ("TOUCHSTONE_LAKE_URL", env.lake_url, LAKE_SCHEMES, "s3://bucket/lake, abfss://container@account/lake or a folder"),
        ("TOUCHSTONE_BASE_URL", env.base_url, ("http", "https"), "https://touchstone.example.org"),
        ("OPENLINEAGE_URL", env.openlineage_url, ("http", "https"), "https://marquez.example.org"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", env.otlp_endpoint, ("http", "https"), "http://collector:4318"),
    ]
    return [
        Error(
            # The value is not repeated: it may hold a password, and this text ends up in logs.
            f"{variable} starts with {urlsplit(value).scheme or 'no scheme'}:, which Touchstone does not understand here.",
            hint=f"For example: {variable}={example}",
            id="touchstone.E005",
        )
        for variable, value, schemes, example in expected
        if value and urlsplit(value).scheme not in schemes
    ]


def target_faults(env: Env) -> list[CheckMessage]:
    """E007: servers for lineage events that cannot be read. W006: this installation among them."""
    try:
        targets = lineage_targets(env)
    except ValueError as error:
        return [
            Error(
                f"TOUCHSTONE_LINEAGE_TARGETS cannot be read: {error}. Nothing is forwarded.",
                hint="For example: TOUCHSTONE_LINEAGE_TARGETS=marquez=http://marquez:5000,other=https://lineage.example.org",
                id="touchstone.E007",
            )
        ]
    own = urlsplit(env.base_url or f"http://localhost:{env.port}").netloc
    return [
        Warning(
            f"The lineage target {target.name} is this installation itself: every event would come back once.",
            hint="Name another server, or unset it.",
            id="touchstone.W006",
        )
        for target in targets
        if urlsplit(target.endpoint).netloc == own
    ]


def time_zone_faults(name: str) -> list[CheckMessage]:
    """E006: a business time zone that does not exist."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return [
            Error(
                f"TOUCHSTONE_TIME_ZONE={name} is not a time zone.",
                hint="Use a name of the IANA data base, for example Europe/Paris.",
                id="touchstone.E006",
            )
        ]
    return []


def production_faults(env: Env) -> list[CheckMessage]:
    """W002: debug pages in production. W003: any host name served. W004: a short secret key."""
    found: list[CheckMessage] = []
    if env.environment == "production" and env.debug:
        found.append(
            Warning(
                "TOUCHSTONE_DEBUG is on in production: error pages show settings and personal data.",
                hint="Unset TOUCHSTONE_DEBUG, or say TOUCHSTONE_ENVIRONMENT=development.",
                id="touchstone.W002",
            )
        )
    if env.environment == "production" and "*" in env.allowed_hosts:
        found.append(
            Warning(
                "TOUCHSTONE_ALLOWED_HOSTS=* serves any host name, so links in e-mails and alerts can be forged.",
                hint="Name the hosts: TOUCHSTONE_ALLOWED_HOSTS=touchstone.example.org",
                id="touchstone.W003",
            )
        )
    if env.secret_key and len(env.secret_key) < 32:
        found.append(
            Warning(
                "TOUCHSTONE_SECRET_KEY is shorter than 32 characters.",
                hint="Unset it to have one made under TOUCHSTONE_HOME/secrets, or set a long random value.",
                id="touchstone.W004",
            )
        )
    return found


def unreachable(variable: str, url: str, default_port: int, *, embedded: bool) -> list[CheckMessage]:
    """W005: nobody listens at an address. Said before the first query fails with a stack trace."""
    parts = urlsplit(url)
    if not parts.hostname:
        return []  # a socket file: the client says itself what is wrong
    try:
        with socket.create_connection((parts.hostname, parts.port or default_port), timeout=REACH_TIMEOUT_S):
            return []
    except OSError as error:
        hint = (
            f"{variable} is unset and the embedded service of {settings.HOME} does not run: "
            "start it with `make up`, or put `python -m controlplane.embedded run --` before the command."
            if embedded
            else f"Is the service up, and is {variable} right?"
        )
        where = f"{parts.hostname}:{parts.port or default_port}"
        return [Warning(f"Nothing answers at {where} ({variable}): {error}.", hint=hint, id="touchstone.W005")]


def check_environment(**_kwargs: Any) -> list[CheckMessage]:
    env: Env = settings.ENV
    return [
        *environment_faults(settings.ENV_FAULTS),
        *home_faults(Path(settings.HOME), env.home),
        *engine_faults(env),
        *address_faults(env),
        *target_faults(env),
        *time_zone_faults(env.time_zone),
        *production_faults(env),
    ]


def check_services(**_kwargs: Any) -> list[CheckMessage]:
    embedded: dict[str, bool] = settings.EMBEDDED
    return [
        *unreachable("DATABASE_URL", settings.DATABASE_URL, 5432, embedded=embedded["postgres"]),
        *unreachable("REDIS_URL", settings.REDIS_URL, 6379, embedded=embedded["redis"]),
    ]


def register_checks() -> None:
    """Called once, when the apps are ready."""
    register(check_environment, TAG)
    # Only where a data base is about to be used (migrate, check --database): a network probe has no place elsewhere.
    register(check_services, TAG, Tags.database)

"""Everything a deployment can set, typed, in one place.

A value that cannot be read does not stop the import of the settings: it falls back to its default and is
reported by a system check (``controlplane.settings.checks``), so that ``manage.py check`` names every fault at once.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

ROOT = Path(__file__).resolve().parents[2]


class Env(BaseSettings):
    """The environment variables that Touchstone reads. ``TOUCHSTONE_`` precedes each name unless an alias says otherwise."""

    model_config = SettingsConfigDict(env_prefix="TOUCHSTONE_", env_ignore_empty=True, extra="ignore", populate_by_name=True)

    home: Path = Field(Path("var"), description="folder that holds all state")
    environment: Literal["production", "qa", "development"] = Field(
        "production", description="environment named in lineage events; only production counts towards SLAs"
    )
    debug: bool = Field(False, description="Django debug pages")
    secret_key: str | None = Field(None, description="Django secret key; made and kept under HOME/secrets when unset")
    allowed_hosts: Annotated[list[str], NoDecode] = Field(
        ["localhost", "127.0.0.1", "[::1]"], description="host names served, separated by commas"
    )
    port: int = Field(8000, ge=1, le=65535, validation_alias="PORT", description="port of the web server")
    base_url: str | None = Field(None, description="address that links in alerts and events start with")
    time_zone: str = Field("Europe/Paris", description="business time zone: the day of a KPI")

    database_url: str | None = Field(None, validation_alias="DATABASE_URL", description="postgresql://…; embedded when unset")
    redis_url: str | None = Field(None, validation_alias="REDIS_URL", description="redis://…; embedded when unset")
    broker_url: str | None = Field(None, validation_alias="CELERY_BROKER_URL", description="Celery's broker; else REDIS_URL")

    engine: Literal["duckdb", "spark"] = Field("duckdb", description="engine of the lake")
    spark_remote: str | None = Field(None, validation_alias="SPARK_REMOTE", description="sc://host:port of Spark Connect")
    lake_url: str | None = Field(None, description="root of the lake; HOME/lake when unset")
    engine_memory_mb: int = Field(512, ge=64, description="memory one engine session may use, MB")
    engine_threads: int = Field(2, ge=1, description="threads of one engine session")

    worker_concurrency: int = Field(2, ge=1, le=64, description="Celery worker processes")
    min_refresh_interval_s: float = Field(5.0, ge=0, le=3600, description="least time between two pipeline runs, s")
    version_retention_min: int = Field(60, ge=1, description="old table versions are kept for so long, minutes")
    cycle_max_bytes: int = Field(64 * 2**20, ge=2**16, description="raw bytes per dataset that one run takes in")

    lineage_retention_days: int | None = Field(
        None, ge=7, description="lineage events older than so many days are dropped after a snapshot; kept when unset"
    )

    disk_min_free_mb: int = Field(1024, ge=0, description="free disk below which drops are refused with 507, MB")
    queue_max_pending: int = Field(5000, ge=1, description="landed files waiting above which drops are refused with 503")
    memory_min_free_mb: int = Field(256, ge=0, description="available memory below which drops are refused with 503, MB")

    otlp_endpoint: str | None = Field(None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT", description="OTLP collector")
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field("INFO", description="least level that is logged")
    openlineage_url: str | None = Field(
        None, validation_alias="OPENLINEAGE_URL", description="another OpenLineage server that gets every accepted event too"
    )
    lineage_targets: str | None = Field(
        None, description="more such servers: name=url, separated by commas; keys in TOUCHSTONE_LINEAGE_KEY_<NAME>"
    )

    def targets(self) -> list[LineageTarget]:
        """The servers that accepted events go on to. Raises ValueError as ``lineage_targets``."""
        return lineage_targets(self)


@dataclass(frozen=True)
class LineageTarget:
    """Another OpenLineage server. ``endpoint`` is where events are POSTed."""

    name: str
    endpoint: str
    key: str | None = None


ENDPOINT = "/api/v1/lineage"


def lineage_targets(env: Env, environ: Mapping[str, str] | None = None) -> list[LineageTarget]:
    """The servers that accepted events are forwarded to. Raises ValueError with the part that cannot be read."""
    source = os.environ if environ is None else environ
    named: list[tuple[str, str, str]] = []
    if env.openlineage_url:
        named.append(("default", env.openlineage_url, "OPENLINEAGE_API_KEY"))
    for part in (env.lineage_targets or "").split(","):
        name, equals, url = (piece.strip() for piece in part.partition("="))
        if not part.strip():
            continue
        if not equals or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", name):
            raise ValueError("a target is name=url, and its name is of small letters, digits and dashes")
        named.append((name, url, f"TOUCHSTONE_LINEAGE_KEY_{name.upper().replace('-', '_')}"))
    if len({name for name, _, _ in named}) != len(named):
        raise ValueError("two targets have the same name ('default' is OPENLINEAGE_URL)")
    for name, url, _ in named:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise ValueError(f"the address of {name!r} is not an http(s) URL")
    return [LineageTarget(name, _endpoint(url), source.get(key) or None) for name, url, key in named]


def _endpoint(url: str) -> str:
    plain = url.rstrip("/")
    return plain if plain.endswith(ENDPOINT) else plain + ENDPOINT


@dataclass(frozen=True)
class EnvFault:
    """One environment variable that could not be read."""

    variable: str
    reason: str
    help: str


def variable_name(field: str) -> str:
    alias = Env.model_fields[field].validation_alias
    return str(alias) if alias else f"TOUCHSTONE_{field.upper()}"


def load(environ: Mapping[str, str] | None = None) -> tuple[Env, list[EnvFault]]:
    """Read the environment; faulty variables keep their default and are listed."""
    values: dict[str, Any] = {}
    source = os.environ if environ is None else environ
    for name in Env.model_fields:
        raw = source.get(variable_name(name))
        if raw not in (None, ""):
            values[name] = [part.strip() for part in str(raw).split(",")] if name == "allowed_hosts" else raw
    faults: list[EnvFault] = []
    while True:
        try:
            return Env.model_validate(_defaults() | values), faults
        except ValidationError as error:
            for item in error.errors():
                name = next(field for field in Env.model_fields if item["loc"][0] in (field, variable_name(field)))
                faults.append(EnvFault(variable_name(name), item["msg"], Env.model_fields[name].description or ""))
                values.pop(name, None)


def _defaults() -> dict[str, Any]:
    return {name: field.default for name, field in Env.model_fields.items()}

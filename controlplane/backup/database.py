"""PostgreSQL's own programs, and the swap of one database for another."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from django.conf import settings
from django.db import connections
from psycopg import sql
from psycopg.conninfo import make_conninfo

from controlplane.backup.errors import BackupError
from controlplane.embedded.postgres import wheel_programs

# What only says where something is now; of no use elsewhere, and in the way there.
TRANSIENT = ("lake_lease", "lake_readerlease", "django_session")
# Rows that an installation has without anybody having done anything.
_FROM_MIGRATIONS = ("django_", "auth_permission", "auth_group")


def _parameters(name: str | None = None) -> dict[str, str]:
    one = settings.DATABASES["default"]
    found = {"host": one["HOST"], "port": one["PORT"], "user": one["USER"], "password": one["PASSWORD"]}
    return {key: str(value) for key, value in found.items() if value} | {
        "dbname": name or str(connections["default"].settings_dict["NAME"])
    }


def connect(name: str | None = None, **options: Any) -> psycopg.Connection[Any]:
    """A connection of one's own, to the installation's database or to another one of its server."""
    try:
        return psycopg.connect(make_conninfo(**_parameters(name), connect_timeout=5), **options)
    except psycopg.OperationalError as error:
        raise BackupError(f"the database does not answer: {error}") from None


def program(name: str, server_major: int) -> str:
    """``pg_dump`` or ``pg_restore`` of the server's major version or a later one: from PATH, else from the wheel."""
    seen = []
    candidates = [found for found in (shutil.which(name), str(wheel_programs() / name)) if found]
    for candidate in candidates:
        said = subprocess.run([candidate, "--version"], capture_output=True, text=True, check=False, env=_environment()).stdout
        version = re.search(r"\s(\d+)", said)
        if version and int(version[1]) >= server_major:
            return candidate
        seen.append(f"{candidate} ({version[1] if version else 'unknown version'})")
    raise BackupError(
        f"the server is PostgreSQL {server_major}, which needs {name} {server_major} or later;"
        f" found: {', '.join(seen) or 'none'}."
        f" Install the client programs (package postgresql-client-{server_major}) and put them on PATH."
    )


def _environment(name: str | None = None) -> dict[str, str]:
    """The password goes through the environment: a command line can be read by every account."""
    variables = {"host": "PGHOST", "port": "PGPORT", "user": "PGUSER", "password": "PGPASSWORD", "dbname": "PGDATABASE"}
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return kept | {variables[key]: value for key, value in _parameters(name).items()}


def _run(command: list[str], *, name: str | None = None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment(name))
    if done.returncode:
        raise BackupError(f"{Path(command[0]).name} failed: {done.stderr.strip()[-1500:]}")


@contextmanager
def snapshot() -> Iterator[tuple[str, psycopg.Connection[Any]]]:
    """An exported snapshot of the database as it is now; it holds while the block runs."""
    with connect() as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
        row = connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        yield str(row[0]), connection
        connection.rollback()


def dump(target: Path, *, snapshot_id: str, server_major: int) -> None:
    command = [
        program("pg_dump", server_major),
        "--format=custom",
        "--compress=gzip:3",
        "--no-owner",
        f"--snapshot={snapshot_id}",
    ]
    command += [f"--exclude-table-data={table}" for table in TRANSIENT]
    _run([*command, f"--file={target}"])


def in_use() -> int:
    """Connections to the database other than this process's."""
    connections["default"].close()
    with connect("postgres", autocommit=True) as connection:
        row = connection.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND backend_type = 'client backend'",
            [_parameters()["dbname"]],
        ).fetchone()
        return int(row[0]) if row else 0


def holds_rows() -> bool:
    """Whether anybody has put anything into the database."""
    with connect() as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for schema, table in tables:
            if table.startswith(_FROM_MIGRATIONS):
                continue
            row = connection.execute(sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.Identifier(schema, table))).fetchone()
            if row and row[0]:
                return True
    return False


def restore_beside(source: Path, *, server_major: int) -> str:
    """Load the dump into a new database beside the present one; returns its name. Repeatable."""
    name = f"{_parameters()['dbname']}_restoring"
    with connect("postgres", autocommit=True) as connection:
        try:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        except psycopg.errors.InsufficientPrivilege:
            raise BackupError(
                f"the database's account may not create a database beside the present one; give it CREATEDB:"
                f' ALTER ROLE "{_parameters()["user"]}" CREATEDB'
            ) from None
    _run(
        [
            program("pg_restore", server_major),
            "--exit-on-error",
            "--no-owner",
            "--single-transaction",
            f"--dbname={name}",
            str(source),
        ],
        name=name,
    )
    return name


def swap(beside: str) -> None:
    """Put the database ``beside`` in the present one's place, in one transaction, and drop the present one."""
    present = _parameters()["dbname"]
    former = f"{present}_former"
    connections["default"].close()
    with connect("postgres", autocommit=True) as connection:
        _drop(connection, former)
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)", [[present, beside]]
        )
        with connection.transaction():
            for old, new in ((present, former), (beside, present)):
                connection.execute(sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new)))
        # What was erased since the backup, or came after it, must not live on in a forgotten copy.
        _drop(connection, former)


def _drop(connection: psycopg.Connection[Any], name: str) -> None:
    connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def server_major() -> int:
    with connect() as connection:
        return connection.info.server_version // 10000


def exists(name: str) -> bool:
    with connect("postgres", autocommit=True) as connection:
        return connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone() is not None

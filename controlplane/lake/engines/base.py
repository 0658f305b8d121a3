"""What every engine offers. A step of the pipeline is written against this and runs on either engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from controlplane.lake.errors import SchemaMismatch
from controlplane.lake.portable.render import EngineName, Value

Params = Mapping[str, Value]
_NAME = re.compile(r"^[a-z_][a-z0-9_]*$")


@dataclass(frozen=True)
class LakeConfig:
    """Where the lake is and what one session may use. ``root``: a local folder or an object-store URL without trailing
    slash.
    """

    root: str
    temp: Path
    memory_mb: int = 512
    threads: int = 2
    spark_remote: str | None = None
    storage_options: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_local(self) -> bool:
        return "://" not in self.root

    def uri(self, table: str) -> str:
        """Address of a table, e.g. ``/srv/lake/silver/orders``."""
        if not re.fullmatch(r"[a-z0-9_]+(/[a-z0-9_]+)*", table):
            raise ValueError(f"{table!r} is not a table name (lower case, digits, _ and /)")
        return f"{self.root}/{table}"


@dataclass(frozen=True)
class Written:
    """Outcome of a write: the table version that it made, and what that version added."""

    table: str
    version: int
    rows: int
    files: int
    size_bytes: int


class Session(Protocol):
    """One unit of work on an engine. Names are visible to the SQL of this session only."""

    @property
    def engine(self) -> EngineName: ...

    def register_files(self, name: str, uris: Sequence[str], schema: pa.Schema) -> None: ...

    def register_table(
        self,
        name: str,
        table: str,
        *,
        where: str | None = None,
        schema: pa.Schema | None = None,
        version: int | None = None,
        at: LakeConfig | None = None,
    ) -> int | None: ...

    def register_arrow(self, name: str, table: pa.Table) -> None: ...

    def create(self, name: str, sql: str, *, params: Params | None = None) -> None: ...

    def fetch(self, sql: str, *, params: Params | None = None) -> pa.Table: ...

    def write(
        self,
        table: str,
        sql: str,
        *,
        schema: pa.Schema,
        partition_by: str | None = None,
        replace: Sequence[object] | None = None,
        properties: Mapping[str, str] | None = None,
        metadata: Mapping[str, str] | None = None,
        sort_by: Sequence[str] = (),
        params: Params | None = None,
        before_commit: Callable[[], None] | None = None,
    ) -> Written: ...


class Engine(Protocol):
    """A factory of sessions."""

    @property
    def name(self) -> EngineName: ...

    def session(self) -> AbstractContextManager[Session]: ...


def check_name(name: str) -> str:
    """``name``, if it may name a column or a view; ValueError otherwise."""
    if not _NAME.match(name):
        raise ValueError(f"{name!r} is not a name (lower case, digits and _)")
    return name


def identifier(name: str) -> str:
    """``name`` as a quoted SQL identifier of DuckDB; ValueError for what should not be one."""
    return f'"{check_name(name)}"'


def lossless(found: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether a value of type ``found`` stays what it is as ``wanted`` (an overflow is noticed when it happens)."""
    if found == wanted or pa.types.is_null(found):
        return True
    source, target = _family(found), _family(wanted)
    if source == "decimal" and found.scale == 0:
        source = "integer"
    if target == "decimal":
        return source == "integer" or (source == "decimal" and bool(found.scale <= wanted.scale))
    return target is not None and source == target


def _family(kind: pa.DataType) -> str | None:
    """Types between which only the width or the layout differs."""
    tests = {
        "integer": (pa.types.is_integer,),
        "decimal": (pa.types.is_decimal,),
        "float": (pa.types.is_floating,),
        "text": (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view),
        "instant": (lambda one: pa.types.is_timestamp(one) and one.tz is not None,),
        "local time": (lambda one: pa.types.is_timestamp(one) and one.tz is None,),
    }
    return next((name for name, any_of in tests.items() if any(test(kind) for test in any_of)), None)


def check_columns(found: pa.Schema, wanted: pa.Schema, table: str) -> None:
    """SchemaMismatch when columns are missing, are too many, or would lose something in the cast to the wanted type."""
    faults = [f"column {name} is missing" for name in wanted.names if name not in found.names]
    faults += [f"column {name} is not in the schema" for name in found.names if name not in wanted.names]
    if len(set(found.names)) != len(found.names):
        faults.append("a column name occurs twice")
    for field_ in wanted:
        if found.names.count(field_.name) == 1:
            have = found.field(field_.name).type
            if not lossless(have, field_.type):
                faults.append(f"column {field_.name} is {have}, not {field_.type}: cast it in the SQL")
    if faults:
        raise SchemaMismatch(f"{table}: " + "; ".join(faults))

"""Parquet behind a URL, read by pyarrow."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.fs as pafs
from deltalake import DeltaTable

from . import delta


def files_dataset(uris: list[str], handle: DeltaTable | None) -> Any:
    """A pyarrow dataset over files; of a Delta table, with its partition column (of the files chosen, by partition value)."""
    if handle is not None:
        columns = list(handle.metadata().partition_columns)
        if not columns:
            return handle.to_pyarrow_dataset()
        values = sorted(set(delta.partition_values(uris, columns[0]).values()))
        return handle.to_pyarrow_dataset(file_pruning_predicate=[(columns[0], "in", values)])
    system, _ = pafs.FileSystem.from_uri(uris[0])
    paths = [pafs.FileSystem.from_uri(uri)[1] for uri in uris]
    parts = [ds.dataset(path, format="parquet", filesystem=system) for path in paths]
    schema = pa.unify_schemas([part.schema for part in parts])
    return ds.dataset(paths, format="parquet", filesystem=system, schema=schema)

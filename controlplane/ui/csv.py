"""CSV downloads that a spreadsheet cannot be tricked with."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from django.http import StreamingHttpResponse
from django.utils.text import slugify


def csv_line(values: Sequence[Any]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow([cell(value) for value in values])
    return buffer.getvalue()


def cell(value: Any) -> Any:
    """Times as ISO 8601 UTC; a text that a spreadsheet would run as a formula gets a leading apostrophe."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r"):
        return f"'{value}"
    if isinstance(value, list | tuple):
        return "; ".join(str(item) for item in value)
    return value


def csv_response(lines: Iterable[str], name: str) -> StreamingHttpResponse:
    def stream() -> Iterator[bytes]:
        for line in lines:
            yield line.encode()

    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    response = StreamingHttpResponse(stream(), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{slugify(name)}-{stamp}.csv"'
    response["Cache-Control"] = "no-store"
    return response

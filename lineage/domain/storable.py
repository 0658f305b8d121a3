"""JSON as PostgreSQL can hold it."""

from __future__ import annotations

import json
import math
import re
from typing import Any

_NUL = re.compile(r"(?<!\\)((?:\\\\)*)\\u0000")


def storable_json(value: Any) -> str:
    """JSON that PostgreSQL's ``jsonb`` takes: no NUL, no half surrogate pair, no infinity. The raw event keeps them."""
    try:
        text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    except ValueError:
        text = json.dumps(_finite(value), separators=(",", ":"))
    if "\\u0000" in text:
        text = _NUL.sub(r"\1\\ufffd", text)
    if "\\ud" in text:
        clean = json.dumps(json.loads(text), ensure_ascii=False).encode("utf-8", "replace").decode()
        text = clean
    return text


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

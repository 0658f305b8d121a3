"""Addresses in the database after the lake has moved."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, TextField, Value
from django.db.models.functions import Concat, Substr

from controlplane.backup.registry import Restored
from pipeline.models import BronzeFile, Drop

_ADDRESSES = ((BronzeFile, "uri"), (BronzeFile, "decoded_uri"), (Drop, "kept_uri"), (Drop, "spool_path"))


@transaction.atomic
def addresses_follow(restored: Restored) -> str:
    """Files that lay under a root are found under the one that it became. Repeatable."""
    changed = 0
    for old, new in restored.moved:
        for model, name in _ADDRESSES:
            rows = model._default_manager.filter(**{f"{name}__startswith": f"{old}/"})
            rest = Substr(F(name), len(old) + 1)
            changed += rows.update(**{name: Concat(Value(new), rest, output_field=TextField())})
    return f"{changed} addresses of files follow the lake" if changed else ""

"""Calls the real ``marquez-python`` client. Runs in the client's own environment, not in Touchstone's.

Standard input: {"url", "key", "calls": [[method, arguments, keywords], …]}; an argument {"$type": "DatasetType.DB_TABLE"} is
that member of the client's models. Prints one line of JSON: a list of {"answer"} or {"status", "error"}, one per call.
"""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from marquez_client import MarquezClient, errors, models


def main() -> None:
    order = json.load(sys.stdin)
    # The client warns of its own methods that are deprecated.
    warnings.simplefilter("ignore")
    client = MarquezClient(order["url"], api_key=order["key"])
    sys.stdout.write(json.dumps([_called(client, *call) for call in order["calls"]]) + "\n")


def _called(client: MarquezClient, method: str, arguments: list[Any], keywords: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"answer": getattr(client, method)(*map(_argument, arguments), **keywords)}
    except errors.APIError as error:
        refusal = error.__cause__.response
        return {"status": refusal.status_code, "error": refusal.text}


def _argument(value: Any) -> Any:
    if not isinstance(value, dict) or "$type" not in value:
        return value
    kind, _, member = value["$type"].partition(".")
    return getattr(models, kind)[member]


main()

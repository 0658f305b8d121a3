"""Marts: slices by date and channel, trust metrics and their export."""

from __future__ import annotations

import csv
import io
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import NotFound, ValidationError
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from catalog.domain.contract import Contract
from catalog.selectors import contract_or_none, contracts_current
from controlplane.accounts.permissions import HasRole
from pipeline.api.kpis import READERS
from pipeline.api.responses import figures_response
from pipeline.models import DatasetState
from pipeline.selectors_kpi import mart_published, mart_rows, measures

MAX_ROWS = 1000
TRUST = "mart_trust_scores"
_RESERVED = {"limit", "offset", "order_by", "group_by", "date_from", "date_to", "format"}


def _slice(request: Request, contract: Contract) -> dict[str, Any]:
    """Filters, grouping, order and page from the address. Raises ValidationError that names the parameter."""
    params = request.query_params
    names = {one.name: one for one in contract.fields}
    day = next((one.name for one in contract.fields if one.type == "date"), None)
    where: list[tuple[str, str, Any]] = []
    for parameter, operator in (("date_from", ">="), ("date_to", "<=")):
        if params.get(parameter):
            if day is None:
                raise ValidationError({parameter: f"{contract.dataset} has no date"})
            where.append((day, operator, _date(parameter, params[parameter])))
    for name in params:
        if "\0" in params[name]:
            raise ValidationError({name: "holds a character that no text in a database has"})
        if name in names:
            where.append((name, "in", _values(names[name].type, name, params[name])))
        elif name not in _RESERVED:
            raise ValidationError({name: f"not a column; there are {', '.join(names)}"})
    group_by = [name for name in params.get("group_by", "").split(",") if name]
    order = [(name.lstrip("-"), name.startswith("-")) for name in params.get("order_by", "").split(",") if name]
    for parameter, used in (("group_by", group_by), ("order_by", [name for name, _ in order])):
        unknown = [name for name in used if name not in names]
        if unknown:
            raise ValidationError({parameter: f"not a column: {', '.join(unknown)}"})
    summed = measures(contract)
    if group_by:
        if wrong := [name for name in group_by if name in summed]:
            raise ValidationError({"group_by": f"measures are summed, not grouped by: {', '.join(wrong)}"})
        if wrong := [name for name, _ in order if name not in (*group_by, *summed)]:
            raise ValidationError({"order_by": f"neither grouped by nor a measure: {', '.join(wrong)}"})
    return {
        "columns": list(names),
        "where": where,
        "group_by": group_by,
        "order_by": order or [(name, False) for name in (group_by or contract.key)],
        "limit": _number("limit", params.get("limit", "100"), 1, MAX_ROWS),
        "offset": _number("offset", params.get("offset", "0"), 0, 10**7),
    }


def _date(parameter: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValidationError({parameter: "not a date; write it as 2026-11-24"}) from None


def _values(kind: str, name: str, text: str) -> list[Any]:
    parts = text.split(",")
    if kind == "date":
        return [_date(name, part) for part in parts]
    if kind == "boolean":
        return [part.lower() in ("true", "1") for part in parts]
    if kind == "timestamp":
        return [_moment(name, part) for part in parts]
    if kind == "string":
        return parts
    try:
        numbers = [Decimal(part) for part in parts]
    except InvalidOperation:
        raise ValidationError({name: "not a number"}) from None
    if not all(number.is_finite() for number in numbers):
        raise ValidationError({name: "not a number"})
    return numbers


def _moment(name: str, text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValidationError({name: "not a moment; write it as 2026-11-24T10:00:00Z"})
    return moment


def _number(parameter: str, text: str, lowest: int, highest: int) -> int:
    try:
        value = int(text)
    except ValueError:
        value = lowest - 1
    if not lowest <= value <= highest:
        raise ValidationError({parameter: f"a whole number from {lowest} to {highest}"})
    return value


def _state(dataset: str) -> DatasetState | None:
    return DatasetState.objects.filter(dataset=dataset).select_related("last_step__run").first()


def _answer(request: Request, contract: Contract) -> Response:
    state = _state(contract.dataset)
    chosen = _slice(request, contract)
    run = str(state.last_step.run.uuid) if state and state.last_step else None

    def build() -> dict[str, Any]:
        one_more = chosen | {"limit": chosen["limit"] + 1}
        rows = mart_rows(contract, **one_more) if mart_published(contract) else []
        more = len(rows) > chosen["limit"]
        return {
            "dataset": f"gold.{contract.dataset}",
            "rows": rows[: chosen["limit"]],
            "next_offset": chosen["offset"] + chosen["limit"] if more else None,
            "refreshed_at": state.refreshed_at if state else None,
            "run": run,
        }

    version = f"{state.refreshed_at.timestamp() if state and state.refreshed_at else 0}"
    return figures_response(request, dataset=contract.dataset, version=version, run=run, build=build)


_SLICE = [
    OpenApiParameter("date_from", OpenApiTypes.DATE),
    OpenApiParameter("date_to", OpenApiTypes.DATE),
    OpenApiParameter("group_by", OpenApiTypes.STR, description="columns, separated by commas; measures are summed"),
    OpenApiParameter("order_by", OpenApiTypes.STR, description="columns, separated by commas; - for descending"),
    OpenApiParameter("limit", OpenApiTypes.INT, description=f"rows of the page, at most {MAX_ROWS}; default 100"),
    OpenApiParameter("offset", OpenApiTypes.INT),
]


class MartView(APIView):
    """A published mart, sliced: any column is a filter (``?channel_source=web,mobile``)."""

    permission_classes = [HasRole(*READERS)]

    @extend_schema(operation_id="mart", parameters=_SLICE, responses={200: OpenApiTypes.OBJECT, 304: None}, tags=["figures"])
    def get(self, request: Request, dataset: str) -> Response:
        contract = contract_or_none(dataset)
        if contract is None or not contract.serve:
            served = sorted(name for name, one in contracts_current().items() if one.serve)
            raise NotFound(f"no published mart {dataset}; there are {', '.join(served)}")
        return _answer(request, contract)


def _trust_contract() -> Contract:
    contract = contract_or_none(TRUST)
    if contract is None:
        raise NotFound("No contract defines the trust mart yet; `make demo` brings one.")
    return contract


class TrustMetricsView(APIView):
    """Trust scores per product: sustainability, material and organic bonus."""

    permission_classes = [HasRole(*READERS)]

    @extend_schema(
        operation_id="trust_metrics", parameters=_SLICE[2:], responses={200: OpenApiTypes.OBJECT, 304: None}, tags=["figures"]
    )
    def get(self, request: Request) -> Response:
        return _answer(request, _trust_contract())


class TrustMetricsExportView(APIView):
    """The whole trust mart as CSV."""

    permission_classes = [HasRole(*READERS)]

    @extend_schema(operation_id="trust_metrics_export", responses={(200, "text/csv"): OpenApiTypes.STR}, tags=["figures"])
    def get(self, request: Request) -> HttpResponse | Response:
        contract = _trust_contract()
        state = _state(contract.dataset)
        run = str(state.last_step.run.uuid) if state and state.last_step else None
        version = f"export-{state.refreshed_at.timestamp() if state and state.refreshed_at else 0}"
        meta = figures_response(request, dataset=contract.dataset, version=version, run=run, build=dict)
        if meta.status_code == 304:
            return meta
        columns = list(contract.field_names)
        order = [(name, False) for name in contract.key]
        chosen: dict[str, Any] = {"columns": columns, "where": [], "group_by": [], "order_by": order, "limit": 1_000_000}
        rows = mart_rows(contract, **chosen) if mart_published(contract) else []
        buffer = io.StringIO()
        writer = csv.writer(buffer)
        writer.writerow(columns)
        writer.writerows([safe_cell(row[name]) for name in columns] for row in rows)
        answer = HttpResponse(buffer.getvalue(), content_type="text/csv; charset=utf-8")
        answer["Content-Disposition"] = 'attachment; filename="trust-metrics.csv"'
        for name, value in meta.headers.items():
            if name not in ("Content-Type", "Content-Length", "Allow", "Vary"):
                answer[name] = value
        return answer


def safe_cell(value: Any) -> Any:
    """A text that a spreadsheet would run as a formula is quoted."""
    return "'" + value if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value

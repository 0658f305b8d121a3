"""Lists: filters, sort and page in the address, counts, CSV. One declaration, the same look everywhere.

>>> RUNS = Listing(columns=(Column("state", "State", "pipeline/cells/state.html"), …), filters=(Choice("state", "State", …),),
...                order="-started_at")
>>> listed = RUNS.read(request, Run.objects.all())
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from django.core.paginator import Page, Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, StreamingHttpResponse
from django.utils.safestring import SafeString

from controlplane.ui.csv import csv_line, csv_response

PAGE_SIZE = 50
CSV_BATCH = 2000


def batched(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of at most ``size`` (itertools.batched is of Python 3.12)."""
    iterator = iter(rows)
    while batch := list(islice(iterator, size)):
        yield batch


@dataclass(frozen=True)
class Column:
    """One column. ``cell(row)`` gives the HTML or text shown, ``raw(row)`` what CSV holds (default: the attribute ``key``)."""

    key: str
    label: str
    cell: Callable[[Any], SafeString | str] | None = None
    raw: Callable[[Any], Any] | None = None
    sort: str = ""
    right: bool = False
    wrap: bool = False

    def show(self, row: Any) -> Any:
        return self.cell(row) if self.cell else getattr(row, self.key)

    def value(self, row: Any) -> Any:
        return self.raw(row) if self.raw else getattr(row, self.key)


@dataclass(frozen=True)
class Filter:
    """One filter. ``choices()`` gives (value, label) pairs (none: free text); ``apply(rows, value)`` narrows the rows."""

    key: str
    label: str
    apply: Callable[[QuerySet[Any], str], QuerySet[Any]]
    choices: Callable[[], Iterable[tuple[str, str]]] | None = None
    hint: str = ""
    default: str = ""
    any_label: str = "All"


@dataclass(frozen=True)
class FilterShown:
    key: str
    label: str
    value: str
    choices: Sequence[tuple[str, str]] | None
    hint: str
    any_value: str
    any_label: str


@dataclass
class Listed:
    """What the template draws."""

    columns: Sequence[Column]
    filters: Sequence[FilterShown]
    page: Page[Any]
    order: str
    filtered: bool
    rows: list[tuple[Any, list[tuple[Column, Any]]]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return int(self.page.paginator.count)

    def heads(self) -> Iterator[tuple[Column, str, str]]:
        """(column, aria-sort, order to ask for next)."""
        for column in self.columns:
            if not column.sort:
                yield column, "", ""
            elif self.order == column.sort:
                yield column, "ascending", f"-{column.sort}"
            elif self.order == f"-{column.sort}":
                yield column, "descending", column.sort
            else:
                yield column, "", f"-{column.sort}"


ANY = "any"


@dataclass(frozen=True)
class Listing:
    """Columns, filters and the order a list starts with."""

    columns: tuple[Column, ...]
    filters: tuple[Filter, ...] = ()
    order: str = "-id"
    page_size: int = PAGE_SIZE
    prepare: Callable[[Sequence[Any]], Sequence[Any]] | None = None  # turns a batch of rows into what the columns read

    def narrow(self, params: Any, rows: QuerySet[Any]) -> QuerySet[Any]:
        """The rows that the filters of an address select; the same for the page, for CSV and for "all filtered" actions."""
        for item in self.filters:
            value = self._value(params, item)
            if value:
                rows = item.apply(rows, value)
        return rows

    def _value(self, params: Any, item: Filter) -> str:
        value = str(params.get(item.key, item.default)).strip()
        return "" if value == ANY else value

    def _ordered(self, params: Any, rows: QuerySet[Any]) -> tuple[QuerySet[Any], str]:
        asked = str(params.get("order", self.order))
        known = {column.sort for column in self.columns if column.sort} | {self.order.lstrip("-")}
        order = asked if asked.lstrip("-") in known else self.order
        return rows.order_by(order, "-pk" if order.startswith("-") else "pk"), order

    def read(self, request: HttpRequest, rows: QuerySet[Any]) -> Listed:
        """One page. Queries: one count, one page of rows, and what the filters' choices need."""
        rows, order = self._ordered(request.GET, self.narrow(request.GET, rows))
        page = Paginator(rows, self.page_size).get_page(request.GET.get("page"))
        listed = Listed(
            columns=self.columns,
            filters=[self._shown(request, item) for item in self.filters],
            page=page,
            order=order,
            filtered=any(self._value(request.GET, item) != item.default for item in self.filters),
        )
        batch = self.prepare(list(page.object_list)) if self.prepare else page.object_list
        listed.rows = [(row, [(column, column.show(row)) for column in self.columns]) for row in batch]
        return listed

    def _shown(self, request: HttpRequest, item: Filter) -> FilterShown:
        return FilterShown(
            key=item.key,
            label=item.label,
            value=self._value(request.GET, item),
            choices=list(item.choices()) if item.choices else None,
            hint=item.hint,
            any_value=ANY if item.default else "",
            any_label=item.any_label,
        )

    def csv(self, request: HttpRequest, rows: QuerySet[Any], name: str) -> StreamingHttpResponse:
        """Every row the filters select, not only this page."""
        rows, _ = self._ordered(request.GET, self.narrow(request.GET, rows))

        def lines() -> Iterator[str]:
            yield csv_line([column.label for column in self.columns])
            for batch in batched(rows.iterator(chunk_size=CSV_BATCH), CSV_BATCH):
                for row in self.prepare(batch) if self.prepare else batch:
                    yield csv_line([column.value(row) for column in self.columns])

        return csv_response(lines(), name)

"""Namespaces, sources, tags, datasets and their versions, in Marquez's shapes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema, extend_schema_view
from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.response import Response

from lineage import selectors
from lineage.api import reads, shapes
from lineage.models import Dataset
from lineage.selectors import Filter, Source

Json = dict[str, Any]
DROP = (
    "Datasets come from events. To end one, send a DatasetEvent whose lifecycleStateChange facet says DROP to"
    " POST /api/v1/lineage. Schema, description and tags come from its schema, documentation and tags facets."
)


class Namespaces(reads.ReadView):
    @extend_schema(parameters=[*reads.PAGING, reads.AS_OF], responses={200: dict}, operation_id="lineage_namespaces")
    def get(self, request: Request) -> Response:
        """Every namespace that an event named."""
        rows, total = reads.page(selectors.namespaces(as_of=reads.as_of(request)), request)
        return reads.listed(request, "namespaces", [shapes.namespace(row.name, row.known_from) for row in rows], total)


class NamespaceDetail(reads.ReadView):
    instead = "A namespace is there as soon as an event names it, and its owner is the owner of the data products in it."

    @extend_schema(parameters=[reads.AS_OF], responses={200: dict}, operation_id="lineage_namespace")
    def get(self, request: Request, namespace: str) -> Response:
        row = selectors.namespaces(as_of=reads.as_of(request)).filter(name=namespace).first()
        if row is None:
            raise NotFound(f"no event names the namespace {namespace!r}; GET /api/v1/namespaces lists them")
        return Response(shapes.namespace(row.name, row.known_from))


class Sources(reads.ReadView):
    @extend_schema(parameters=[*reads.PAGING, reads.AS_OF], responses={200: dict}, operation_id="lineage_sources")
    def get(self, request: Request) -> Response:
        """Systems that datasets live in, from their `dataSource` facets; `default` for datasets that name none."""
        rows, total = reads.page(_sources(as_of=reads.as_of(request)), request)
        return reads.listed(request, "sources", [shapes.source(row) for row in rows], total)


class SourceDetail(reads.ReadView):
    instead = "A source is what the dataSource facet of a dataset names: send it with an event to POST /api/v1/lineage."

    @extend_schema(parameters=[reads.AS_OF], responses={200: dict}, operation_id="lineage_source")
    def get(self, request: Request, source: str) -> Response:
        found = [row for row in _sources(name=source, as_of=reads.as_of(request)) if row.name == source]
        if not found:
            raise NotFound(f"no dataset names the source {source!r}; GET /api/v1/sources lists them")
        return Response(shapes.source(found[0]))


def _sources(*, name: str | None = None, as_of: datetime | None = None) -> list[Source]:
    found = selectors.sources(name=name, as_of=as_of)
    if not any(row.name == selectors.DEFAULT_SOURCE for row in found):
        first = selectors.namespaces(as_of=as_of).order_by("known_from").values_list("known_from", flat=True).first()
        known = first or timezone.now()
        found = sorted([*found, Source(selectors.DEFAULT_SOURCE, "", known, known, 0)], key=lambda row: row.name)
    return found


class Tags(reads.ReadView):
    instead = "Tags come from the tags facet of events (POST /api/v1/lineage) and from the classification in contracts."

    @extend_schema(parameters=reads.PAGING, responses={200: dict}, operation_id="lineage_tags")
    def get(self, request: Request) -> Response:
        """Every tag: `key` or `key:value` of tags facets; `PII` and `SENSITIVE` follow from contracts."""
        named = [{"name": name, "description": text} for name, text in selectors.tag_names().items()]
        rows, total = reads.page(named, request)
        return reads.listed(request, "tags", rows, total)


@extend_schema(exclude=True)
class TagDetail(Tags):
    """Only refuses: Marquez has a tag's address for writing."""

    http_method_names = ["put", "delete", "options"]


def dataset_shapes(
    rows: list[Dataset], *, as_of: datetime | None = None, names: tuple[str, ...] | None = None, all_facets: bool = True
) -> list[Json]:
    """Datasets with what is known of them, in four queries."""
    keys = [row.id for row in rows]
    facets = selectors.facets("dataset", keys, names=names, as_of=as_of)
    versions = selectors.current_versions(keys, as_of=as_of)
    classified = selectors.contract_tags(rows)
    there = selectors.alive(keys, as_of=as_of) if as_of else None
    return [
        shapes.dataset(
            row,
            facets.get(row.id, {}),
            all_facets=all_facets,
            version=versions.get(row.id),
            classified=classified.get(row.id),
            alive=None if there is None else row.id in there,
        )
        for row in rows
    ]


class Datasets(reads.ReadView):
    """The datasets of a namespace."""

    @extend_schema(
        parameters=[*reads.PAGING, reads.AS_OF, *reads.FILTERS], responses={200: dict}, operation_id="lineage_datasets"
    )
    def get(self, request: Request, namespace: str | None = None) -> Response:
        as_of = reads.as_of(request)
        wanted: Filter = reads.filters(request, namespace)
        rows, total = reads.page(wanted.datasets(selectors.datasets(as_of=as_of)), request)
        return reads.listed(request, "datasets", dataset_shapes(rows, as_of=as_of), total)


@extend_schema_view(get=extend_schema(operation_id="lineage_all_datasets", parameters=[reads.NAMESPACE]))
class AllDatasets(Datasets):
    """The datasets of every namespace."""


class DatasetDetail(reads.ReadView):
    instead = DROP

    @extend_schema(parameters=[reads.AS_OF], responses={200: dict}, operation_id="lineage_dataset")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        """A dataset with its facets. With `asOf`, `facetsChangedSince` names those that say something else today."""
        as_of = reads.as_of(request)
        row = dataset_row(namespace, name, as_of=as_of)
        shown = dataset_shapes([row], as_of=as_of)[0]
        others = [item for item in selectors.aliases([row.node_id]).get(row.node_id, ()) if item != (row.namespace, row.name)]
        shown["symlinks"] = [{"namespace": space, "name": title} for space, title in others]
        if as_of is not None:
            shown |= _then(row, shown, as_of)
        return Response({**shown, "knownThrough": shapes.moment(selectors.known_through(as_of))})


@extend_schema(exclude=True)
class DatasetTag(DatasetDetail):
    """Only refuses: Marquez has this address for writing. A file's name may look like it."""

    instead = Tags.instead

    def get(  # type: ignore[override]
        self, request: Request, namespace: str, name: str, tag: str, field: str | None = None
    ) -> Response:
        inner = f"/fields/{field}" if field else ""
        return super().get(request, namespace, f"{name}{inner}/tags/{tag}")


def _then(row: Dataset, shown: Json, as_of: datetime) -> Json:
    """Columns as they were: only the latest body of a facet is a row, the event that made a version holds an earlier one."""
    changed = set(selectors.facets("dataset", [row.id]).get(row.id, {})) - set(shown["facets"])
    facets = dict(shown["facets"])
    if "schema" in changed:
        version = selectors.versions(row.id, as_of=as_of).filter(kind="schema").first()
        schema = selectors.version_facets(row, [version]).get(version.id, {}).get("schema") if version else None
        if schema is not None:
            facets["schema"] = schema
            changed.discard("schema")
    classified = selectors.contract_tags([row]).get(row.id)
    return {
        "fields": shapes.fields(facets, classified),
        "facets": facets,
        "facetsChangedSince": sorted(changed),
        "asOf": shapes.moment(as_of),
    }


class DatasetVersions(reads.ReadView):
    @extend_schema(parameters=[*reads.PAGING, reads.AS_OF], responses={200: dict}, operation_id="lineage_dataset_versions")
    def get(self, request: Request, namespace: str, name: str) -> Response:
        """States of a dataset, newest first: `declared` by a version facet, or known by its `schema`."""
        as_of = reads.as_of(request)
        row = dataset_row(namespace, name, as_of=as_of)
        rows, total = reads.page(selectors.versions(row.id, as_of=as_of), request)
        return reads.listed(request, "versions", _version_shapes(row, rows), total)


class DatasetVersion(reads.ReadView):
    @extend_schema(responses={200: dict}, operation_id="lineage_dataset_version")
    def get(self, request: Request, namespace: str, name: str, version: str) -> Response:
        row = selectors.dataset_get(namespace, name)
        whole = f"{name}/versions/{version}"
        if row is None and selectors.dataset_get(namespace, whole):
            # The name of a file may hold what looks like a version's address.
            return DatasetDetail().get(request, namespace, whole)
        item = selectors.version_get(dataset_row(namespace, name).id, version)
        if row is None or item is None:
            raise NotFound(f"the dataset {name!r} has no version {version!r}; …/versions lists them")
        return Response(_version_shapes(row, [item])[0])


def _version_shapes(row: Dataset, rows: list[Any]) -> list[Json]:
    facets = selectors.version_facets(row, rows)
    runs = {run.id: run for run in selectors.runs().filter(id__in=[item.run_id for item in rows if item.run_id])}
    jobs = selectors.jobs_by_id({run.job_id for run in runs.values()})

    def made_by(item: Any) -> Json | None:
        run = runs.get(item.run_id)
        return shapes.run(run, job=jobs.get(run.job_id)) if run else None

    return [shapes.dataset_version(row, item, facets.get(item.id, {}), made_by(item)) for item in rows]


def dataset_row(namespace: str, name: str, *, as_of: datetime | None = None) -> Dataset:
    row = selectors.dataset_get(namespace, name, as_of=as_of)
    if row is None:
        when = " before that moment" if as_of else ""
        raise NotFound(f"no event names the dataset {name!r} of {namespace!r}{when}; GET /api/v1/search?q=… finds names")
    return row

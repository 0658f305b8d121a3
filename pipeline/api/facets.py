"""Our OpenLineage facets' JSON Schemas, at the addresses that events name. Public, like the schemas of the standard."""

from __future__ import annotations

from django.http import FileResponse, Http404, HttpRequest

from pipeline.domain.code import ROOT

FACETS = {"ProvenanceRunFacet", "EnvironmentRunFacet"}


def facet_schema(request: HttpRequest, name: str) -> FileResponse:
    if name not in FACETS or request.method not in ("GET", "HEAD"):
        raise Http404
    return FileResponse((ROOT / "docs" / "api" / "facets" / f"{name}.json").open("rb"), content_type="application/schema+json")

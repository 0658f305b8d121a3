"""Figures out, drops in: the pipeline's HTTP API over a small world that went through the pipeline."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
import structlog
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from rest_framework.test import APIClient

from controlplane.accounts import services as accounts
from controlplane.outbox.models import OutboxMessage
from lineage.services.transport import TOPIC
from pipeline import selectors_kpi
from pipeline.api import drops as drops_api
from pipeline.api import marts
from pipeline.models import BronzeFile, DatasetState, Drop, KpiValue, Run
from pipeline.services import watermarks
from pipeline.services.planning import run_plan
from tests import pipeline_world as worlds

KPIS = ["net_revenue", "conversion_rate", "fulfilment_sla", "return_rate", "csat_index", "inventory_risk"]
MART = "/api/v1/marts/mart_daily_revenue"
pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("prepared")]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any) -> Iterator[Any]:
    with worlds.shared(tmp_path_factory.mktemp("api"), django_db_blocker) as made:
        yield made


def key(role: str, *namespaces: str) -> APIClient:
    name = f"{role}-{uuid.uuid4().hex[:8]}"
    _, secret = accounts.apikey_create(name=name, role=role, namespaces=namespaces or ["*"], actor=None)
    client = APIClient()
    client.credentials(HTTP_AUTHORIZATION=f"Bearer {secret}")
    return client


@pytest.fixture
def reader() -> APIClient:
    client = APIClient()
    client.force_authenticate(accounts.user_create(username="rosa", password=None, roles=["owner"], actor=None))
    return client


@pytest.fixture
def producer() -> APIClient:
    return key("producer")


# --- figures ----------------------------------------------------------------------------------------------------------


def test_kpis_come_with_unit_trend_freshness_and_run(reader: APIClient) -> None:
    body = reader.get("/api/v1/kpis").json()
    assert [one["key"] for one in body["kpis"]] == KPIS
    for one in body["kpis"]:
        newest = KpiValue.objects.filter(kpi=one["key"], business_date=one["business_date"]).order_by("-id").first()
        assert newest is not None
        assert (one["value"] is None) == (newest.value is None)
        assert one["value"] is None or Decimal(str(one["value"])) == newest.value
        assert one["freshness"]["state"] == "on_time"
        assert Run.objects.filter(uuid=one["run"]).exists()
        days = [point["business_date"] for point in one["trend"]["series"]]
        assert days == sorted(days)
        assert days[-1] == one["business_date"]
    assert body["lake"] == {"reachable": True, "notice": ""}


def test_a_kpi_without_a_denominator_is_null_and_not_zero(reader: APIClient) -> None:
    last = KpiValue.objects.filter(kpi="csat_index").latest("business_date", "id")
    KpiValue.objects.filter(pk=last.pk).update(value=None)
    shown = {one["key"]: one for one in reader.get("/api/v1/kpis").json()["kpis"]}["csat_index"]
    assert shown["value"] is None
    assert shown["trend"]["change_ratio"] is None


def test_a_kpi_older_than_its_cadence_is_late_and_one_never_made_is_unknown(reader: APIClient) -> None:
    DatasetState.objects.filter(dataset="kpi_net_revenue").update(refreshed_at=timezone.now() - timedelta(hours=1))
    DatasetState.objects.filter(dataset="kpi_csat_index").delete()
    shown = {one["key"]: one["freshness"] for one in reader.get("/api/v1/kpis").json()["kpis"]}
    assert shown["net_revenue"]["state"] == "late"
    assert shown["csat_index"] == {"state": "unknown", "refreshed_at": None, "due_at": None, "max_age_s": 120}
    assert shown["return_rate"]["state"] == "on_time"


def test_kpis_cost_the_same_queries_however_many_there_are(reader: APIClient) -> None:
    reader.get("/api/v1/kpis")
    with CaptureQueriesContext(
        connection,
    ) as queries:
        reader.get("/api/v1/kpis")
    assert len(queries) <= 5, [one["sql"][:120] for one in queries]


@pytest.mark.parametrize("address", ["/api/v1/kpis", MART, "/api/trust/metrics", "/api/trust/metrics/export"])
def test_figures_are_for_those_who_may_read_them(address: str) -> None:
    assert APIClient().get(address).status_code == 401
    assert key("producer").get(address).status_code == 403
    for role in ("owner", "steward", "oncall", "dpo", "auditor", "admin"):
        assert key(role).get(address).status_code == 200, role


@pytest.mark.parametrize("address", ["/api/v1/kpis", MART, "/api/trust/metrics", "/api/trust/metrics/export"])
def test_a_copy_that_is_current_is_not_sent_again(reader: APIClient, address: str) -> None:
    first = reader.get(address)
    again = reader.get(address, headers={"If-None-Match": first["ETag"]})
    assert again.status_code == 304
    assert again.content == b""
    assert again["ETag"] == first["ETag"]
    assert "max-age" in first["Cache-Control"]
    DatasetState.objects.filter(layer="gold").update(refreshed_at=timezone.now())
    assert reader.get(address, headers={"If-None-Match": first["ETag"]}).status_code == 200


@pytest.mark.parametrize("tag", ["W/{}", '"other", {}', "*"])
def test_other_ways_to_name_the_copy_hold_too(reader: APIClient, tag: str) -> None:
    etag = reader.get("/api/v1/kpis")["ETag"]
    assert reader.get("/api/v1/kpis", headers={"If-None-Match": tag.format(etag)}).status_code == 304


@pytest.mark.parametrize("address", ["/api/v1/kpis", MART, "/api/trust/metrics"])
def test_the_event_id_leads_from_the_answer_over_the_log_to_the_run(reader: APIClient, address: str) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = reader.get(address)
    line = next(one for one in lines if one["event"] == "mart query")
    assert answer["X-Event-Id"] == answer.json()["event_id"] == line["event_id"]
    assert line["run"] == answer["X-Pipeline-Run"]
    assert Run.objects.filter(uuid=line["run"]).exists()


def test_a_mart_is_cut_by_day_and_channel(reader: APIClient) -> None:
    every = reader.get(MART, {"limit": 1000}).json()
    assert every["next_offset"] is None
    days = sorted({row["order_date"] for row in every["rows"]})
    query = {"date_from": days[1], "date_to": days[2], "channel_source": "web,mobile", "limit": 1000}
    cut = reader.get(MART, query).json()["rows"]
    wanted = [
        row for row in every["rows"] if days[1] <= row["order_date"] <= days[2] and row["channel_source"] in ("web", "mobile")
    ]
    assert cut == wanted
    assert cut


def test_a_mart_is_grouped_with_its_measures_summed(reader: APIClient) -> None:
    every = reader.get(MART, {"limit": 1000}).json()["rows"]
    grouped = reader.get(MART, {"group_by": "region", "order_by": "-orders"}).json()["rows"]
    for row in grouped:
        mine = [one for one in every if one["region"] == row["region"]]
        assert row["orders"] == sum(one["orders"] for one in mine)
        assert Decimal(str(row["net_revenue"])) == sum(Decimal(str(one["net_revenue"])) for one in mine)
    assert [row["orders"] for row in grouped] == sorted((row["orders"] for row in grouped), reverse=True)


def test_pages_follow_one_another_and_the_last_one_says_so(reader: APIClient) -> None:
    every = reader.get(MART, {"limit": 1000}).json()["rows"]
    half = (len(every) + 1) // 2
    first = reader.get(MART, {"limit": half}).json()
    second = reader.get(MART, {"limit": len(every) - half, "offset": first["next_offset"]}).json()
    assert first["rows"] + second["rows"] == every
    assert second["next_offset"] is None


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "1001"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"date_from": "yesterday"}, "date_from"),
        ({"order_date": "2026-02-30"}, "order_date"),
        ({"orders": "a few"}, "orders"),
        ({"orders": "NaN"}, "orders"),
        ({"colour": "red"}, "colour"),
        ({"group_by": "region,colour"}, "group_by"),
        ({"group_by": "net_revenue"}, "group_by"),
        ({"order_by": "-colour"}, "order_by"),
        ({"group_by": "region", "order_by": "order_date"}, "order_by"),
        ({"region": "FR\0"}, "region"),
    ],
)
def test_a_parameter_that_cannot_be_is_named(reader: APIClient, query: dict[str, str], named: str) -> None:
    answer = reader.get(MART, query)
    assert answer.status_code == 400
    assert list(answer.json()) == [named]


def test_amounts_may_be_filtered_by(reader: APIClient) -> None:
    row = reader.get(MART, {"limit": 1}).json()["rows"][0]
    found = reader.get(MART, {"net_revenue": str(row["net_revenue"])})
    assert found.status_code == 200
    assert row in found.json()["rows"]


def test_a_mart_that_is_not_published_is_not_found(reader: APIClient) -> None:
    for name in ("orders", "nothing_like_it"):
        answer = reader.get(f"/api/v1/marts/{name}")
        assert answer.status_code == 404
        assert "mart_daily_revenue" in answer.json()["detail"]


def test_trust_metrics_and_their_export_hold_the_same(reader: APIClient) -> None:
    rows = reader.get("/api/trust/metrics", {"limit": 1000}).json()["rows"]
    exported = reader.get("/api/trust/metrics/export")
    assert exported["Content-Type"].startswith("text/csv")
    assert "attachment" in exported["Content-Disposition"]
    assert exported["X-Event-Id"]
    lines = list(csv.DictReader(io.StringIO(exported.content.decode())))
    assert [line["sku"] for line in lines] == [row["sku"] for row in rows]
    assert all(0 <= Decimal(line["trust_score"]) <= 100 for line in lines)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_text_that_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    assert marts.safe_cell(text) == "'" + text
    assert marts.safe_cell(Decimal(-1)) == Decimal(-1)


def test_without_the_lake_figures_are_those_of_the_last_publication(
    reader: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {address: reader.get(address).json() for address in ("/api/v1/kpis", MART, "/api/trust/metrics")}
    settings.LAKE_URL = "/nowhere/at/all"
    monkeypatch.setattr(selectors_kpi, "_lake_seen", (-1000.0, True))
    for address, known in before.items():
        answer = reader.get(address)
        assert answer.status_code == 200
        assert answer.json()["lake"]["reachable"] is False
        assert "last publication" in answer.json()["lake"]["notice"]
        assert "last publication" in answer["Warning"]
        shown = "kpis" if "kpis" in known else "rows"
        assert answer.json()[shown] == known[shown]
    monkeypatch.setattr(selectors_kpi, "_lake_seen", (-1000.0, True))


# --- drops ------------------------------------------------------------------------------------------------------------

CARRIERS = "carrier_id,name,country,updated_at,source_seq\nZZ,Zeta,FR,2026-10-20T08:00:00Z,{}\n"


def carriers(number: int) -> bytes:
    return CARRIERS.format(number).encode()


def send(client: APIClient, content: bytes, dataset: str = "carriers", filename: str = "carriers.csv", **headers: str) -> Any:
    address = f"/api/v1/drops/{dataset}?filename={filename}"
    return client.post(address, data=content, content_type="application/octet-stream", headers=headers)


def test_a_drop_is_accepted_once_and_recognised_after(producer: APIClient) -> None:
    first = send(producer, carriers(900001))
    assert first.status_code == 201, first.content
    assert first.json()["state"] == "accepted"
    assert first.json()["rows"] == 1
    again = send(producer, carriers(900001), filename="other-name.csv")
    assert again.status_code == 200
    assert again.json()["state"] == "duplicate"
    assert BronzeFile.objects.filter(sha256=first.json()["sha256"]).count() == 1


def test_a_drop_that_does_not_hold_is_refused_with_faults_and_kept(producer: APIClient) -> None:
    content = b"carrier_id,country\nZZ,FR\n"
    answer = send(producer, content)
    assert answer.status_code == 422
    faults = answer.json()["faults"]
    assert faults
    assert all(set(fault) == {"place", "reason", "mend"} for fault in faults)
    drop = Drop.objects.get(uuid=answer.json()["drop"])
    assert drop.state == "refused"
    from controlplane.lake import services as lake
    from pipeline.services.landing import store_key

    assert lake.store().get(store_key(drop.kept_uri)) == content


def test_a_correlation_id_is_echoed_and_followed_to_the_run(producer: APIClient) -> None:
    wanted = uuid.uuid4().hex
    answer = send(producer, carriers(900002), **{"X-Correlation-ID": wanted})
    assert answer.status_code == 201
    assert answer["X-Correlation-ID"] == answer.json()["correlation_id"] == wanted
    assert Drop.objects.get(uuid=answer.json()["drop"]).correlation_id == wanted
    assert BronzeFile.objects.get(drops__uuid=answer.json()["drop"]).correlation_id == wanted
    run = run_plan(at_once=True)
    assert run is not None
    assert run.correlation_id == wanted


@pytest.mark.parametrize("dataset", ["nothing_like_it", "fact_order"])
def test_a_dataset_that_takes_no_drops_is_said_to_be_so(producer: APIClient, dataset: str) -> None:
    assert send(producer, carriers(1), dataset=dataset).status_code in (404, 422)
    assert send(producer, carriers(1), dataset="nothing_like_it").status_code == 404


def test_a_drop_needs_a_name(producer: APIClient) -> None:
    answer = producer.post("/api/v1/drops/carriers", data=b"x", content_type="application/octet-stream")
    assert answer.status_code == 400
    assert list(answer.json()) == ["filename"]


def test_an_empty_body_is_an_empty_drop(producer: APIClient) -> None:
    answer = send(producer, b"")
    assert answer.status_code == 422
    assert answer.json()["faults"][0]["reason"] == "the file is empty"


def test_a_body_of_unknown_length_is_asked_for_its_length(producer: APIClient) -> None:
    answer = producer.generic("POST", "/api/v1/drops/carriers?filename=a.csv", headers={"Transfer-Encoding": "chunked"})
    assert answer.status_code == 411
    assert "Content-Length" in answer.json()["detail"]


def test_a_drop_too_large_for_http_is_told_where_to_go(producer: APIClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drops_api, "MAX_BYTES", 10)
    answer = send(producer, carriers(900003))
    assert answer.status_code == 413
    assert "landing folder" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("watermark", "status"), [("disk_min_free_mb", 507), ("queue_max_pending", 503), ("memory_min_free_mb", 503)]
)
def test_past_a_watermark_the_sender_keeps_the_drop(
    producer: APIClient, settings: Any, monkeypatch: pytest.MonkeyPatch, watermark: str, status: int
) -> None:
    limit = 0 if watermark == "queue_max_pending" else 2**40
    monkeypatch.setattr(settings.ENV, watermark, limit)
    monkeypatch.setattr(watermarks, "_queue_seen", (0.0, 0))
    before = Drop.objects.count()
    answer = send(producer, carriers(900004))
    assert answer.status_code == status
    assert int(answer["Retry-After"]) == answer.json()["retry_after_s"] > 0
    assert Drop.objects.count() == before


def test_a_key_sends_only_to_its_namespaces() -> None:
    bound = key("producer", "carriers")
    assert send(bound, carriers(900005)).status_code == 201
    refused = send(bound, b"x", dataset="orders")
    assert refused.status_code == 403
    assert "namespace" in refused.json()["detail"]


def test_readers_send_nothing(reader: APIClient) -> None:
    assert send(reader, carriers(1)).status_code == 403
    assert send(APIClient(), carriers(1)).status_code == 401
    assert send(key("auditor"), carriers(1)).status_code == 403


# --- facets -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("facet", "name"), [("provenance", "ProvenanceRunFacet"), ("environment", "EnvironmentRunFacet")])
def test_a_real_event_holds_to_the_published_schema_of_our_facets(facet: str, name: str) -> None:
    answer = APIClient().get(f"/api/facets/1-0-0/{name}.json")
    assert answer.status_code == 200
    schema = json.loads(answer.getvalue())
    jsonschema.Draft202012Validator.check_schema(schema)
    # As the steps handed them over: no relay runs here that would carry them on.
    messages = OutboxMessage.objects.filter(topic=TOPIC)
    bodies = [message.payload["event"] for message in messages]
    found = [body["run"]["facets"][facet] for body in bodies if facet in body.get("run", {}).get("facets", {})]
    assert len(found) > 20
    for one in found:
        assert one["_schemaURL"].split("#")[0].endswith(f"{name}.json")
        jsonschema.validate(one, schema)

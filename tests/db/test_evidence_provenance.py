"""The trail of a figure stays exact, whatever came after it: corrections, replays, newer refreshes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from controlplane.accounts.models import User
from controlplane.audit.models import AuditEntry
from controlplane.evidence.selectors import provenance
from controlplane.lake import services as lake
from controlplane.lake.errors import SnapshotGone
from pipeline import selectors_change, selectors_raw, selectors_rows, selectors_trail
from pipeline.domain.drill import DRILLS
from pipeline.models import BronzeFile, KpiValue
from pipeline.services import operations
from pipeline.services.landing import drop_receive
from tests import pages_world
from tests import pipeline_support as support
from tests import pipeline_world as worlds
from tests.pipeline_world import Prepared

DAY = date(2026, 10, 18)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any) -> Iterator[Prepared]:
    with worlds.shared(tmp_path_factory.mktemp("provenance"), django_db_blocker) as made:
        yield made


def signed_in(role: str) -> Client:
    person = User.objects.filter(username=f"{role}-person").first() or pages_world.person(role, password=None)
    client = Client()
    client.force_login(person)
    return client


@pytest.mark.django_db
def test_a_day_without_a_figure_has_no_trail() -> None:
    assert provenance("net_revenue", DAY) is None


def correction(prepared: Prepared, number: int, **values: str) -> BronzeFile:
    """A sold order line of the day sent once more, newer and with other values."""
    with lake.engine().session() as session:
        session.register_table("l", "silver/order_lines")
        session.register_table("f", "gold/fact_order")
        row = session.fetch(
            "SELECT l.order_id, l.line_no, l.sku, l.quantity, l.unit_price, l.gross_amount, l.discount_amount, l.tax_amount,"
            " l.currency, CAST(l.ordered_at AS VARCHAR) AS ordered_at FROM l JOIN f ON f.order_id = l.order_id"
            f" AND f.line_no = l.line_no AND NOT f.is_cancelled AND f.order_date = DATE '{DAY}'"
            " ORDER BY l.order_id, l.line_no LIMIT 1"
        ).to_pylist()[0]
    record = {name: str(value) for name, value in row.items()}
    record["ordered_at"] = record["ordered_at"].replace(" ", "T").replace("+00", "Z")
    record |= {"updated_at": f"2026-11-0{number}T00:00:00Z", "source_seq": f"99999{number}", **values}
    content = f"{','.join(record)}\n{','.join(record.values())}\n".encode()
    drop = drop_receive(dataset="order_lines", filename=f"late_{number}.csv", content=content, source="test")
    support.drain(as_of=prepared.world.as_of)
    assert support.failures() == []
    assert drop.bronze_file is not None
    return drop.bronze_file


def steady(found: dict[str, Any] | None) -> str:
    """The part of the trail that nothing later may change."""
    assert found is not None
    found["figure"].pop("confirmed")
    return json.dumps(found)


def names(found: dict[str, Any] | None, dataset: str) -> set[str]:
    assert found is not None
    (one,) = [one for one in found["datasets"] if one["dataset"] == dataset]
    return {file["logical_id"] for file in one["files"]["listed"]}


def test_an_old_figure_keeps_its_trail_through_corrections_replays_and_refreshes(prepared: Prepared) -> None:
    old = KpiValue.objects.filter(kpi="net_revenue", business_date=DAY).latest("id")
    before = provenance("net_revenue", DAY, value_pk=old.pk)
    assert before is not None
    assert before["exact"]
    late = correction(prepared, 1, discount_amount="0.01")
    new = KpiValue.objects.filter(kpi="net_revenue", business_date=DAY).latest("id")
    assert new.pk != old.pk
    assert late.logical_id in names(provenance("net_revenue", DAY), "order_lines")
    operations.bronze_replay(files=BronzeFile.objects.filter(dataset__in=["order_lines", "orders"]), actor="system:test")
    support.drain(as_of=prepared.world.as_of)
    assert steady(provenance("net_revenue", DAY, value_pk=old.pk)) == steady(before)
    assert late.logical_id not in names(provenance("net_revenue", DAY, at=old.computed_at), "order_lines")


def test_each_hop_names_the_versions_that_it_read(prepared: Prepared) -> None:
    found = selectors_trail.trail(key="net_revenue", day=DAY)
    assert found is not None
    by_name = {one.dataset: one for one in found.datasets}
    mart = by_name["mart_daily_revenue"].steps[0]
    assert found.value.step.inputs == {"mart_daily_revenue": mart.step.table_version}
    fact = next(one for one in by_name["fact_order"].steps if DAY.isoformat() in (one.hop.partitions or ()))
    assert fact.step.pk < mart.step.pk
    assert fact.step.table_version <= mart.step.inputs["fact_order"]
    assert fact.code.text.startswith("-- fact_order")
    assert fact.code.same
    assert fact.verdict == "passing"
    assert set(fact.step.build) == {"code", "commit", "version", "engine"}
    assert by_name["orders"].steps[0].code.same


def test_the_trail_is_plain_json_without_names_of_people(prepared: Prepared) -> None:
    text = json.dumps(provenance("net_revenue", DAY))
    assert "received_by" not in text
    assert "filename" not in text


def returned(prepared: Prepared) -> None:
    """A line of the day comes back and its money with it."""
    with lake.engine().session() as session:
        session.register_table("f", "gold/fact_order")
        line = session.fetch(
            "SELECT f.order_id, f.line_no, f.sku, f.channel_source, f.region FROM f WHERE NOT f.is_cancelled"
            f" AND f.order_date = DATE '{DAY}' ORDER BY f.order_id, f.line_no LIMIT 1"
        ).to_pylist()[0]
    record = {"return_id": "bbbbbbbb-0000-4000-8000-000000000001", **{name: str(one) for name, one in line.items()}}
    record |= {"reason": "too small", "initiated_at": f"{DAY}T12:00:00Z", "refunded_at": f"{DAY}T13:00:00Z"}
    record |= {"refund_amount": "3.21", "currency": "EUR", "updated_at": f"{DAY}T13:00:00Z", "source_seq": "1"}
    content = f"{','.join(record)}\n{','.join(record.values())}\n".encode()
    drop_receive(dataset="returns", filename="returned.csv", content=content, source="test")
    support.drain(as_of=prepared.world.as_of)
    assert support.failures() == []


def test_the_rows_of_every_side_add_up_to_what_was_published(prepared: Prepared) -> None:
    returned(prepared)
    seen = set()
    for value in KpiValue.objects.filter(value__isnull=False):
        for side in selectors_rows.sides(value.kpi):
            found = selectors_rows.side_rows(value, side.name)
            assert found is not None
            assert found.adds_up, (value.kpi, value.business_date, side.name, found.total, found.published)
            if found.count:
                seen.add((value.kpi, side.name))
    everything = {(key, one.name) for key, drill in DRILLS.items() for one in drill.sides}
    assert seen >= everything - {("inventory_risk", "numerator")}  # in this small world no product runs out


def test_filters_narrow_the_rows_but_not_the_sum_that_is_checked(prepared: Prepared) -> None:
    value = KpiValue.objects.filter(kpi="net_revenue", business_date=DAY).latest("id")
    found = selectors_rows.side_rows(value, "numerator")
    assert found is not None
    some = selectors_rows.side_rows(value, "numerator", channel=found.channels[0], region=found.regions[0], everything=True)
    assert some is not None
    assert (some.total, some.count) == (found.total, found.count)
    assert some.selected_total == sum(row.amount for row in some.rows)
    assert {(row.channel, row.region) for row in some.rows} <= {(found.channels[0], found.regions[0])}


def test_rows_of_a_figure_whose_table_version_is_gone_are_still_found_while_nothing_replaced_them(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    correction(prepared, 3, discount_amount="0.03")  # nothing has replaced the day's rows since
    value = KpiValue.objects.filter(kpi="net_revenue", business_date=DAY).latest("id")
    at_version = selectors_rows._open

    def gone(session: Any, one: Any, *, at_version: bool) -> Any:
        if at_version:
            raise SnapshotGone("no such version any more")
        return opened(session, one, at_version=False)

    opened = at_version
    monkeypatch.setattr(selectors_rows, "_open", gone)
    found = selectors_rows.side_rows(value, "numerator")
    assert found is not None
    assert {one.state for one in found.opened} == {"unchanged"}
    assert found.adds_up


def row_address(value: KpiValue, row: selectors_rows.Row) -> str:
    names = {"value": value.pk, "kind": row.kind, "id": row.id, "part": row.part, "place": row.place}
    return f"/evidence/kpi/{value.kpi}/{value.business_date}/row/?{urlencode(names)}"


def test_a_row_leads_to_its_lines_in_the_raw_files_and_a_look_at_personal_values_is_recorded(prepared: Prepared) -> None:
    value = KpiValue.objects.filter(kpi="net_revenue", business_date=DAY).latest("id")
    found = selectors_rows.side_rows(value, "numerator")
    assert found is not None
    row = next(row for row in found.rows if row.kind == "order line")
    silver = selectors_raw.origins(value, kind=row.kind, id_=row.id, part=row.part, place=row.place)
    assert silver is not None
    raws = {one.dataset: one.raw for one in silver.silver}
    order = raws["orders"]
    assert order is not None
    assert order.record is not None
    assert order.intact
    assert order.record.text.split(",")[0] == row.id
    assert order.record.text in Path(order.file.uri).read_text()
    assert order.hides == ["customer_id"]
    customer = order.record.text.split(",")[1]
    client = signed_in("steward")
    page = client.get(row_address(value, row))
    assert order.masked in unescape(page.content.decode())
    assert customer not in page.content.decode()
    assert client.post(row_address(value, row), {"reason": "no"}).status_code == 400
    shown = client.post(row_address(value, row), {"reason": "the source disputes this order"})
    assert customer in shown.content.decode()
    assert shown.headers["Cache-Control"] == "no-store"
    entry = AuditEntry.objects.get(action="ui.reveal", target=order.target)
    assert customer not in str(entry.__dict__)
    refused = signed_in("auditor").post(row_address(value, row), {"reason": "the source disputes this order"})
    assert refused.status_code == 403
    assert customer not in refused.content.decode()


def test_two_figures_differ_by_the_file_and_the_row_that_came_between(prepared: Prepared) -> None:
    before = KpiValue.objects.filter(kpi="net_revenue", business_date=DAY).latest("id")
    late = correction(prepared, 4, discount_amount="0.02")
    after = KpiValue.objects.filter(kpi="net_revenue", business_date=DAY).latest("id")
    found = selectors_change.compare(before, after)
    assert found is not None
    assert [(one.dataset, [file.logical_id for file in one.added]) for one in found.files] == [
        ("order_lines", [late.logical_id])
    ]
    (side,) = found.sides
    assert side.explained
    assert after.numerator is not None
    assert before.numerator is not None
    assert [one.moved for one in side.rows] == [after.numerator - before.numerator]
    assert not found.differences
    page = signed_in("auditor").get(f"/evidence/kpi/net_revenue/{DAY}/change/?to={after.pk}").content.decode()
    assert "1 new file" in page
    assert "Explained" in page


def test_the_pages_and_the_api_show_the_same_trail(prepared: Prepared) -> None:
    client = signed_in("auditor")
    value = KpiValue.objects.filter(kpi="net_revenue", business_date=DAY).earliest("id")
    body = client.get(f"/api/v1/evidence/kpis/net_revenue/{DAY}?value={value.pk}").json()
    assert body == provenance("net_revenue", DAY, value_pk=value.pk)
    page = client.get(f"/evidence/kpi/net_revenue/{DAY}/?value={value.pk}").content.decode()
    for dataset in body["datasets"]:
        assert f'id="dataset-{dataset["dataset"]}"' in page
        for file in dataset["files"]["listed"]:
            assert file["sha256"] in page
    assert "not the newest figure" in page
    code = client.get(f"/evidence/code/{body['datasets'][1]['steps'][0]['code']['sql_sha256']}/")
    assert "mart_daily_revenue" in code.content.decode()
    rows = client.get(f"/evidence/kpi/net_revenue/{DAY}/rows/numerator/?value={value.pk}")
    assert "Adds up" in rows.content.decode()
    lines = b"".join(client.get(f"/evidence/kpi/net_revenue/{DAY}/rows/numerator/?value={value.pk}&format=csv")).splitlines()
    assert lines[0] == b"kind,id,part,place,channel,region,detail,happened_at,amount"
    assert sum(Decimal(line.rsplit(b",", 1)[1].decode()) for line in lines[1:]) == value.numerator


@pytest.mark.django_db
@pytest.mark.parametrize("query", ["at=yesterday", "value=newest"])
def test_the_api_says_what_is_wrong_with_a_question(query: str) -> None:
    assert signed_in("auditor").get(f"/api/v1/evidence/kpis/net_revenue/{DAY}?{query}").status_code == 400
    assert signed_in("auditor").get("/api/v1/evidence/kpis/net_revenue/today").status_code == 400
    assert signed_in("auditor").get(f"/api/v1/evidence/kpis/net_revenue/{DAY}").status_code == 404
    assert signed_in("producer").get(f"/api/v1/evidence/kpis/net_revenue/{DAY}").status_code == 403

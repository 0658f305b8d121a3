"""Sends events with the real ``openlineage-python`` client. Runs in the producer's own environment, not in Touchstone's.

Standard input: {"transport": configuration of the transport, absent: from the environment,
"world": {"namespace", "seed"} or "events": [events as JSON], "how": "emit" (default) or "batch", "close_s": patience}.
Prints one line of JSON: {"sent": events handed to the client, "answers": [status, or why it failed],
"stats": counts of the asynchronous transport or null, "events": what was sent}.
"""

from __future__ import annotations

import json
import sys
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urljoin

import attr
import requests
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import (
    DatasetEvent,
    InputDataset,
    Job,
    JobEvent,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
    StaticDataset,
)
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_assertions_dataset,
    documentation_dataset,
    error_message_run,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    ownership_job,
    parent_run,
    schema_dataset,
    sql_job,
    symlinks_dataset,
)
from openlineage.client.serde import Serde

PRODUCER = "https://example.org/tests/producers"
START = datetime(2026, 11, 1, 6, tzinfo=UTC)


def world(namespace: str, seed: str) -> list[Any]:
    """Two jobs under a parent, one of which fails, a declared job and a described dataset: 8 events of all three kinds."""
    store = f"postgres://{namespace}:5432"

    def run(name: str, **facets: Any) -> Run:
        return Run(runId=str(uuid.uuid5(uuid.NAMESPACE_URL, f"{namespace} {seed} {name}")), facets=facets)

    def columns(*names: str) -> Any:
        return schema_dataset.SchemaDatasetFacet(
            fields=[schema_dataset.SchemaDatasetFacetFields(name=name, type="VARCHAR") for name in names]
        )

    def made_of(field: str, *, subtype: str, masking: bool = False) -> Any:
        how = column_lineage_dataset.Transformation(type="DIRECT", subtype=subtype, masking=masking)
        source = column_lineage_dataset.InputField(namespace=store, name="shop.orders", field=field, transformations=[how])
        return column_lineage_dataset.Fields(inputFields=[source])

    def event(kind: RunState, second: int, its: Run, job: Job, **sides: Any) -> RunEvent:
        time = (START + timedelta(seconds=second)).isoformat()
        return RunEvent(eventType=kind, eventTime=time, run=its, job=job, producer=PRODUCER, **sides)

    nightly = run(
        "nightly",
        nominalTime=nominal_time_run.NominalTimeRunFacet(
            nominalStartTime=START.isoformat(), nominalEndTime=(START + timedelta(hours=1)).isoformat()
        ),
    )
    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=nightly.runId), job=parent_run.Job(namespace=namespace, name="nightly")
    )
    orders = InputDataset(namespace=store, name="shop.orders", facets={"schema": columns("id", "email", "amount")})
    checked = InputDataset(
        namespace=store,
        name="shop.orders",
        inputFacets={
            "dataQualityAssertions": data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
                assertions=[
                    data_quality_assertions_dataset.Assertion(assertion="not_null", success=True, column="id"),
                    data_quality_assertions_dataset.Assertion(assertion="unique", success=False, column="email"),
                ]
            )
        },
    )
    by_customer = column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={
            "customer": made_of("email", subtype="TRANSFORMATION", masking=True),
            "total": made_of("amount", subtype="AGGREGATION"),
        },
        dataset=[column_lineage_dataset.InputField(namespace=store, name="shop.orders", field="id")],
    )
    totals = OutputDataset(
        namespace=store,
        name="shop.totals",
        facets={
            "schema": columns("customer", "total"),
            "columnLineage": by_customer,
            "symlinks": symlinks_dataset.SymlinksDatasetFacet(
                identifiers=[symlinks_dataset.Identifier(namespace=f"s3://{namespace}", name="totals", type="LOCATION")]
            ),
        },
        outputFacets={"outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=42)},
    )
    main = Job(namespace=namespace, name="nightly", facets={"jobType": job_type("DAG")})
    sums = Job(
        namespace=namespace,
        name="nightly.sums",
        facets={"sql": sql_job.SQLJobFacet(query="INSERT INTO shop.totals SELECT …"), "jobType": job_type("TASK")},
    )
    mail = Job(namespace=namespace, name="nightly.mail")
    broken = error_message_run.ErrorMessageRunFacet(message="mailbox is full", programmingLanguage="PYTHON")
    first, second = run("sums", parent=parent), run("mail", parent=parent)
    failed = run("mail", parent=parent, errorMessage=broken)
    report = StaticDataset(namespace=store, name="shop.report", facets={"documentation": text("Weekly report")})
    owned = ownership_job.OwnershipJobFacet(owners=[ownership_job.Owner(name="team:sales", type="MAINTAINER")])
    return [
        event(RunState.START, 0, nightly, main),
        event(RunState.START, 1, first, sums, inputs=[orders]),
        event(RunState.COMPLETE, 5, first, sums, inputs=[checked], outputs=[totals]),
        event(RunState.START, 6, second, mail, inputs=[InputDataset(namespace=store, name="shop.totals")]),
        event(RunState.FAIL, 7, failed, mail),
        event(RunState.COMPLETE, 8, nightly, main),
        JobEvent(
            eventTime=START.isoformat(),
            producer=PRODUCER,
            job=Job(namespace=namespace, name="report", facets={"ownership": owned}),
            inputs=[InputDataset(namespace=store, name="shop.totals")],
            outputs=[OutputDataset(namespace=store, name="shop.report")],
        ),
        DatasetEvent(eventTime=START.isoformat(), producer=PRODUCER, dataset=report),
    ]


def job_type(kind: str) -> Any:
    return job_type_job.JobTypeJobFacet(processingType="BATCH", integration="CLIENT", jobType=kind)


def text(description: str) -> Any:
    return documentation_dataset.DocumentationDatasetFacet(description=description)


def typed(event: dict[str, Any]) -> Any:
    """An event of the client from an event as JSON; its facets stay as they are."""

    def sides() -> dict[str, Any]:
        return {
            "inputs": [InputDataset(**item) for item in event.get("inputs") or ()],
            "outputs": [OutputDataset(**item) for item in event.get("outputs") or ()],
        }

    common = {"eventTime": event["eventTime"], "producer": event["producer"]}
    if "run" in event:
        # One of the compatibility tests' runs is called "run_id", which this client would not send.
        with attr.validators.disabled():
            run = Run(**event["run"])
        return RunEvent(eventType=RunState(event["eventType"]), run=run, job=Job(**event["job"]), **sides(), **common)
    if "job" in event:
        return JobEvent(job=Job(**event["job"]), **sides(), **common)
    return DatasetEvent(dataset=StaticDataset(**event["dataset"]), **common)


def emit(client: OpenLineageClient, events: list[Any]) -> list[Any]:
    answers: list[Any] = []
    transport: Any = client.transport
    send = transport.emit

    def remembered(event: Any) -> Any:
        answer = send(event)
        answers.append(getattr(answer, "status_code", None))
        return answer

    transport.emit = remembered
    for event in events:
        try:
            client.emit(event)
        except Exception as fault:
            answers.append(f"{type(fault).__name__}: {fault}")
    return answers


def batch(client: OpenLineageClient, events: list[Any]) -> list[Any]:
    """The client has no call for a batch: its serialiser, its session and its headers, in one request."""
    transport: Any = client.transport
    body, headers = transport._prepare_request(json.dumps([Serde.to_dict(event) for event in events]))
    answer: requests.Response = transport.session.post(
        urljoin(transport.url, "api/v1/lineage/batch"), data=body, headers=headers, timeout=30
    )
    return [answer.status_code, answer.json() if answer.content else None]


def main() -> None:
    order = json.load(sys.stdin)
    transport = order.get("transport")
    client = OpenLineageClient(config={"transport": transport}) if transport else OpenLineageClient()
    events = world(**order["world"]) if "world" in order else [typed(event) for event in order["events"]]
    answers = batch(client, events) if order.get("how") == "batch" else emit(client, events)
    client.close(timeout=order.get("close_s", 60))
    stats = getattr(client.transport, "get_stats", lambda: None)()
    sent = [Serde.to_dict(event) for event in events]
    sys.stdout.write(json.dumps({"sent": len(events), "answers": answers, "stats": stats, "events": sent}) + "\n")


if __name__ == "__main__":
    main()

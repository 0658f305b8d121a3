"""What the pipeline tells the lineage: OpenLineage events, the same way any outside producer does.

Events are built with the OpenLineage client's classes and leave through its transport into the outbox, in the transaction of
the step they speak of. Datasets are named ``bronze.orders``, ``silver.orders``, ``gold.fact_order`` in the namespace
``touchstone``; where they are stored stands in their facets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import attr
from django.conf import settings
from django.utils import timezone
from openlineage.client import OpenLineageClient
from openlineage.client.generated import (
    base,
    column_lineage_dataset,
    data_quality_assertions_dataset,
    data_quality_metrics_dataset,
    dataset_version_dataset,
    datasource_dataset,
    error_message_run,
    job_type_job,
    nominal_time_run,
    output_statistics_output_dataset,
    ownership_dataset,
    parent_run,
    processing_engine_run,
    schema_dataset,
    source_code_location_job,
    sql_job,
    storage_dataset,
    tags_dataset,
)

from catalog.domain.contract import Contract
from controlplane.lake import services as lake
from pipeline.domain.code import code_version, commit
from pipeline.models import BronzeFile, Drop, Run, RunState, Step
from pipeline.services.derived_lineage import Derived, derived_columns

if TYPE_CHECKING:
    from pipeline.services.steps import Outcome, StepContext

NAMESPACE = "touchstone"
PRODUCER = "https://touchstone.dev/pipeline"
REPOSITORY = "https://touchstone.dev/source"
PIPELINE_JOB = "pipeline"


@attr.define
class ProvenanceRunFacet(base.RunFacet):
    """The raw files a run read: [{logicalId, uri, sha256, rows, sizeBytes, receivedAt}]. Schema: docs/api/facets."""

    files: list[dict[str, Any]]
    contract: str
    codeVersion: str
    commit: str
    asOf: str

    @staticmethod
    def _get_schema() -> str:
        return f"{settings.BASE_URL}/api/facets/1-0-0/ProvenanceRunFacet.json"


@attr.define
class EnvironmentRunFacet(base.RunFacet):
    """Where a run took place: production, qa or development. Only production counts towards SLAs."""

    name: str

    @staticmethod
    def _get_schema() -> str:
        return f"{settings.BASE_URL}/api/facets/1-0-0/EnvironmentRunFacet.json"


@lru_cache(maxsize=1)
def _client() -> OpenLineageClient:
    from lineage.services import OutboxTransport

    return OpenLineageClient(transport=OutboxTransport())


def sha256_of(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


# --- runs and steps ---------------------------------------------------------------------------------------------------


def emit_run(run: Run, *, ended: bool) -> None:
    """The run as a whole; its steps name it as their parent."""
    end = base.EventType.FAIL if run.state == RunState.FAILED else base.EventType.COMPLETE
    kind = end if ended else base.EventType.START
    facets = {
        "nominalTime": nominal_time_run.NominalTimeRunFacet(_iso(run.started_at)),
        "environment": EnvironmentRunFacet(run.environment),
    }
    _emit(kind, run_id=str(run.uuid), job=PIPELINE_JOB, run_facets=facets)


def emit_start(ctx: StepContext) -> None:
    _emit(
        base.EventType.START,
        run_id=str(ctx.step.uuid),
        job=job_name(ctx.contract),
        run_facets=_run_facets(ctx.run, ctx.contract, files=[]),
        job_facets=_job_facets(ctx.contract, sql=""),
        inputs=[base.InputDataset(NAMESPACE, name) for name in input_names(ctx.contract)],
        outputs=[base.OutputDataset(NAMESPACE, dataset_name(ctx.contract))],
    )


def emit_complete(ctx: StepContext, outcome: Outcome) -> None:
    contract = ctx.contract
    _emit(
        base.EventType.COMPLETE,
        run_id=str(ctx.step.uuid),
        job=job_name(contract),
        run_facets=_run_facets(ctx.run, contract, files=outcome.bronze_files),
        job_facets=_job_facets(contract, sql=outcome.sql),
        inputs=_inputs(ctx, outcome),
        outputs=[_output(ctx, outcome)],
    )


def emit_fail(step: Step, *, contract: Contract | None, message: str) -> None:
    if contract is None:
        return
    _emit(
        base.EventType.FAIL,
        run_id=str(step.uuid),
        job=job_name(contract),
        run_facets={
            **_run_facets(step.run, contract, files=[]),
            "errorMessage": error_message_run.ErrorMessageRunFacet(message=message, programmingLanguage="Python"),
        },
        outputs=[base.OutputDataset(NAMESPACE, dataset_name(contract))],
    )


def emit_landing(drop: Drop, contract: Contract, file: BronzeFile) -> None:
    """A drop that became a Bronze file."""
    output = base.OutputDataset(
        NAMESPACE,
        f"bronze.{contract.dataset}",
        outputFacets={
            "outputStatistics": output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                file.rows, file.size_bytes, 1
            )
        },
        facets={
            "schema": schema_dataset.SchemaDatasetFacet(
                [schema_dataset.SchemaDatasetFacetFields(name=name, type="text") for name in file.columns]
            ),
            "storage": storage_dataset.StorageDatasetFacet(
                "object store", contract.source.format if contract.source else "binary"
            ),
            "version": dataset_version_dataset.DatasetVersionDatasetFacet(file.logical_id),
            "dataSource": datasource_dataset.DatasourceDatasetFacet(name="bronze", uri=file.uri),
        },
    )
    facets = {
        "nominalTime": nominal_time_run.NominalTimeRunFacet(_iso(drop.received_at)),
        "provenance": _provenance([file], contract, as_of=drop.received_at),
        "environment": EnvironmentRunFacet(settings.ENV.environment),
    }
    for kind in (base.EventType.START, base.EventType.COMPLETE):
        outputs = [output] if kind == base.EventType.COMPLETE else []
        _emit(kind, run_id=str(drop.uuid), job=f"land.{contract.dataset}", run_facets=facets, outputs=outputs)


def _emit(
    kind: base.EventType,
    *,
    run_id: str,
    job: str,
    run_facets: dict[str, base.RunFacet],
    job_facets: dict[str, base.JobFacet] | None = None,
    inputs: list[base.InputDataset] | None = None,
    outputs: list[base.OutputDataset] | None = None,
) -> None:
    _client().emit(
        base.RunEvent(
            eventType=kind,
            eventTime=_iso(timezone.now()),
            producer=PRODUCER,
            run=base.Run(runId=run_id, facets=run_facets),
            job=base.Job(namespace=NAMESPACE, name=job, facets=job_facets or {}),
            inputs=inputs or [],
            outputs=outputs or [],
        )
    )


# --- names and facets -------------------------------------------------------------------------------------------------


def dataset_name(contract: Contract) -> str:
    return f"{contract.layer}.{contract.dataset}"


def job_name(contract: Contract) -> str:
    return f"refresh.{contract.dataset}"


def input_names(contract: Contract) -> list[str]:
    """Names of the datasets that a refresh reads, itself excluded."""
    from catalog.selectors import contracts_current

    contracts = contracts_current()
    names = [dataset_name(contracts[upstream]) for upstream in contract.upstreams if upstream in contracts]
    return [f"bronze.{contract.dataset}", *names] if contract.source else names


def _iso(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _run_facets(run: Run, contract: Contract, *, files: Iterable[BronzeFile]) -> dict[str, base.RunFacet]:
    return {
        "parent": parent_run.ParentRunFacet(run=parent_run.Run(str(run.uuid)), job=parent_run.Job(NAMESPACE, PIPELINE_JOB)),
        "nominalTime": nominal_time_run.NominalTimeRunFacet(_iso(run.started_at)),
        "processing_engine": processing_engine_run.ProcessingEngineRunFacet(version=_engine_version(), name=lake.engine().name),
        "provenance": _provenance(files, contract, as_of=run.as_of),
        "environment": EnvironmentRunFacet(run.environment),
    }


@lru_cache(maxsize=1)
def _engine_version() -> str:
    return version("duckdb" if lake.engine().name == "duckdb" else "pyspark-client")


def engine_text() -> str:
    """Name and version of the engine that carries steps out here."""
    return f"{lake.engine().name} {_engine_version()}"


def _provenance(files: Iterable[BronzeFile], contract: Contract, *, as_of: datetime) -> ProvenanceRunFacet:
    return ProvenanceRunFacet(
        files=[
            {
                "logicalId": file.logical_id,
                "uri": file.uri,
                "sha256": file.sha256,
                "rows": file.rows,
                "sizeBytes": file.size_bytes,
                "receivedAt": _iso(file.received_at),
            }
            for file in files
        ],
        contract=f"{contract.dataset}@{contract.version}",
        codeVersion=code_version(),
        commit=commit(),
        asOf=_iso(as_of),
    )


def _job_facets(contract: Contract, *, sql: str) -> dict[str, base.JobFacet]:
    path = f"pipeline/sql/gold/{contract.transform}" if contract.transform else "pipeline/sql/silver/standard.sql"
    facets: dict[str, base.JobFacet] = {
        "jobType": job_type_job.JobTypeJobFacet(processingType="BATCH", integration="TOUCHSTONE", jobType="TASK"),
        "sourceCodeLocation": source_code_location_job.SourceCodeLocationJobFacet(
            type="git", url=f"{REPOSITORY}/{path}", repoUrl=REPOSITORY, path=path, version=commit() or code_version()
        ),
    }
    if sql:
        facets["sql"] = sql_job.SQLJobFacet(query=sql, dialect="duckdb")
    return facets


def _inputs(ctx: StepContext, outcome: Outcome) -> list[base.InputDataset]:
    """What was read, with the version of each table as it was opened."""
    versions = {
        dataset_name(ctx.contracts[dataset]): version for dataset, version in outcome.inputs.items() if version is not None
    }
    found = []
    for name in input_names(ctx.contract):
        facets: dict[str, base.DatasetFacet] = {}
        if name in versions:
            facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(str(versions[name]))
        found.append(base.InputDataset(NAMESPACE, name, facets=facets))
    return found


def _output(ctx: StepContext, outcome: Outcome) -> base.OutputDataset:
    contract = ctx.contract
    facets: dict[str, base.DatasetFacet] = {
        "schema": _schema(contract),
        "ownership": ownership_dataset.OwnershipDatasetFacet(
            [ownership_dataset.Owner(contract.owner, "OWNER"), ownership_dataset.Owner(contract.steward, "STEWARD")]
        ),
        "storage": storage_dataset.StorageDatasetFacet("delta", "parquet"),
        "dataSource": datasource_dataset.DatasourceDatasetFacet(
            name="lake", uri=lake.table_uri(f"{contract.layer}/{contract.dataset}")
        ),
        "tags": tags_dataset.TagsDatasetFacet(_tags(contract)),
        "columnLineage": _column_lineage(derived_columns(contract, sql=outcome.sql)),
        "dataQualityMetrics": _quality_metrics(outcome),
    }
    if outcome.written:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(str(outcome.written.version))
    if outcome.verdicts:
        # The client files this facet under inputs; the standard allows it on every dataset.
        facets["dataQualityAssertions"] = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(  # type: ignore[assignment]
            [
                data_quality_assertions_dataset.Assertion(
                    assertion=one["rule"], success=one["status"] == "passing", column=one["column"] or None
                )
                for one in outcome.verdicts
            ]
        )
    statistics: dict[str, base.OutputDatasetFacet] = {}
    if outcome.written:
        statistics["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=outcome.written.rows, size=outcome.written.size_bytes, fileCount=outcome.written.files
        )
    return base.OutputDataset(NAMESPACE, dataset_name(contract), outputFacets=statistics, facets=facets)


def _schema(contract: Contract) -> schema_dataset.SchemaDatasetFacet:
    return schema_dataset.SchemaDatasetFacet(
        [
            schema_dataset.SchemaDatasetFacetFields(
                name=one.name, type=one.type_name, description=one.description or None, ordinal_position=position
            )
            for position, one in enumerate(contract.fields, start=1)
        ]
    )


def _tags(contract: Contract) -> list[tags_dataset.TagsDatasetFacetFields]:
    tags = [tags_dataset.TagsDatasetFacetFields(key="layer", value=contract.layer, source="contract")]
    for one in contract.fields:
        if one.pii:
            tags.append(tags_dataset.TagsDatasetFacetFields(key="pii", value=one.pii, source="contract", field=one.name))
        if one.classification == "high":
            tags.append(tags_dataset.TagsDatasetFacetFields(key="sensitivity", value="high", source="contract", field=one.name))
    return tags


def _quality_metrics(outcome: Outcome) -> data_quality_metrics_dataset.DataQualityMetricsDatasetFacet:
    rows = outcome.rows_out
    columns = {
        name: data_quality_metrics_dataset.ColumnMetrics(nullCount=round(ratio * rows))
        for name, ratio in outcome.null_ratios.items()
    }
    return data_quality_metrics_dataset.DataQualityMetricsDatasetFacet(columnMetrics=columns, rowCount=rows)


def _column_lineage(derived: Derived) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    fields = {
        output: column_lineage_dataset.Fields(
            [
                column_lineage_dataset.InputField(
                    NAMESPACE,
                    dataset,
                    column,
                    [column_lineage_dataset.Transformation(type=kind, subtype=subtype, masking=masking)],
                )
                for dataset, column, kind, subtype, masking in sources
            ]
        )
        for output, sources in derived.items()
    }
    return column_lineage_dataset.ColumnLineageDatasetFacet(fields=fields)

"""OpenLineage events as real producers send them, in any number: Airflow DAGs, Spark applications, dbt runs, declarations.

Each job is rendered once, with the facets, schemas and column lineage of its kind; each run of it gets its own ids, times
and counts, so a million events are made in seconds and no two are the same. Where the OpenLineage compatibility fixtures are at
hand, their scenarios are played as well, with new run ids. The same seed gives the same events; every seed tells of
the same jobs and datasets, as the days of a platform do.
"""

from __future__ import annotations

import json
import os
import random
import re
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any

from controlplane.embedded.home import ROOT

Json = dict[str, Any]

FIXTURES = Path(os.environ.get("TOUCHSTONE_FIXTURES", ROOT.parent / "shared" / "fixtures")) / "openlineage"
SPEC = "https://openlineage.io/spec"
AIRFLOW = "https://github.com/apache/airflow/tree/providers-openlineage/1.14.0"
SPARK = "https://github.com/OpenLineage/OpenLineage/tree/1.23.0/integration/spark"
DBT = "https://github.com/OpenLineage/OpenLineage/tree/1.23.0/integration/dbt"
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
OPEN_RUNS = 40  # that take turns, as on a busy platform
_RUN_IDS = re.compile(r'"runId": ?"([^"]+)"')
_MARK = re.compile(r"@([a-z]+)([0-9]*)@")
TYPES = ("string", "bigint", "decimal(18,2)", "timestamp", "date", "boolean", "double")
NOUNS = ("order", "customer", "session", "parcel", "invoice", "refund", "product", "price", "stock", "ticket", "visit", "rate")
STAGES = ("raw", "clean", "joined", "daily", "hourly", "mart", "export", "snapshot")


@dataclass
class Scenario:
    """What one run of a job sends, in order. Marks: ``@run0@`` an id, ``@time@`` the event's time, ``@count@`` a number."""

    texts: list[str]


def events(count: int, *, seed: int = 1, jobs: int = 600, fixtures: bool = True) -> Iterator[str]:
    """``count`` different events as JSON texts; the first are those of every smaller count."""
    return islice(_endless(seed, jobs, fixtures), count)


def _endless(seed: int, jobs: int, fixtures: bool) -> Iterator[str]:
    rng = random.Random(seed)
    # A tenth of the runs replays a fixture; each of those is long, so of the events it is more.
    scenarios = [*_scenarios(random.Random(jobs), jobs), *(_recorded() * max(1, jobs // 60) if fixtures else ())]
    clock = 0.0
    running: list[Iterator[str]] = []
    while True:
        while len(running) < OPEN_RUNS:
            running.append(_play(rng.choice(scenarios), rng))
        at = rng.randrange(len(running))
        text = next(running[at], None)
        if text is None:
            running.pop(at)
            continue
        clock += rng.expovariate(20)
        # Clocks of producers disagree by seconds, and some have a resolution of one second only, so times tie.
        moment = BEGIN + timedelta(seconds=clock + rng.gauss(0, 2))
        precise = moment if rng.random() < 0.8 else moment.replace(microsecond=0)
        yield text.replace("@time@", precise.isoformat().replace("+00:00", "Z"))


def _play(scenario: Scenario, rng: random.Random) -> Iterator[str]:
    made: dict[str, str] = {}

    def value(match: re.Match[str]) -> str:
        kind, number = match.groups()
        if kind == "run":
            if number not in made:
                made[number] = str(uuid.UUID(int=rng.getrandbits(128), version=4))
            return made[number]
        return match[0] if kind == "time" else str(rng.randrange(1, 5_000_000))

    for text in scenario.texts:
        yield _MARK.sub(value, text)


def _recorded() -> list[Scenario]:
    """The scenarios of the compatibility fixtures; none where they are missing."""
    found = []
    for path in sorted(FIXTURES.glob("*.jsonl")):
        text = path.read_text()
        for number, run_id in enumerate(dict.fromkeys(_RUN_IDS.findall(text))):
            text = text.replace(run_id, f"@run{number}@")
        texts = []
        for line in text.splitlines():
            moment = json.loads(line)["eventTime"]
            texts.append(re.sub(rf'("eventTime": ?)"{re.escape(moment)}"', r'\1"@time@"', line, count=1))
        found.append(Scenario(texts))
    return found


# --- our own scenarios


def _scenarios(rng: random.Random, jobs: int) -> list[Scenario]:
    makers = (_airflow, _airflow, _spark, _spark, _dbt, _dbt, _dbt, _declared)
    return [Scenario([json.dumps(event) for event in makers[at % len(makers)](rng, at)]) for at in range(jobs)]


def _facet(producer: str, name: str, version: str = "1-0-0", /, **values: Any) -> Json:
    return {"_producer": producer, "_schemaURL": f"{SPEC}/facets/{version}/{name}.json#/$defs/{name}", **values}


def _event(producer: str, kind: str, job: Json, **rest: Any) -> Json:
    return {
        "eventTime": "@time@",
        "producer": producer,
        "schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/{kind}",
        "job": job,
        **rest,
    }


def _columns(rng: random.Random, least: int = 5, most: int = 14) -> list[Json]:
    names = dict.fromkeys(
        f"{rng.choice(NOUNS)}_{rng.choice(('id', 'at', 'code', 'amount', 'count', 'name'))}" for _ in range(most)
    )
    kept = list(names)[: max(least, rng.randrange(least, most))]
    return [{"name": name, "type": rng.choice(TYPES), "description": f"the {name.replace('_', ' ')}"} for name in kept]


def _dataset(rng: random.Random, producer: str, namespace: str, stage: str, number: int, **facets: Json) -> Json:
    name = f"{stage}.{rng.choice(NOUNS)}s_{number % 97}"
    uri = namespace if "://" in namespace else f"{namespace}://warehouse"
    # The columns of a table are a function of its name: every job that names it declares the same.
    own = random.Random(f"{namespace}{name}")
    source = _facet(producer, "DatasourceDatasetFacet", name=namespace, uri=uri)
    schema = _facet(producer, "SchemaDatasetFacet", "1-1-1", fields=_columns(own))
    return {"namespace": namespace, "name": name, "facets": {"dataSource": source, "schema": schema, **facets}}


def _column_lineage(rng: random.Random, producer: str, inputs: Sequence[Json], output: Json) -> Json:
    fields: Json = {}
    for column in output["facets"]["schema"]["fields"]:
        taken = []
        for item in rng.sample(list(inputs), k=min(len(inputs), rng.choice((1, 1, 2)))):
            origin = rng.choice(item["facets"]["schema"]["fields"])["name"]
            kind = rng.choice((("DIRECT", "IDENTITY"), ("DIRECT", "TRANSFORMATION"), ("DIRECT", "AGGREGATION")))
            change = {"type": kind[0], "subtype": kind[1], "description": "", "masking": rng.random() < 0.05}
            taken.append({"namespace": item["namespace"], "name": item["name"], "field": origin, "transformations": [change]})
        fields[column["name"]] = {"inputFields": taken}
    return _facet(producer, "ColumnLineageDatasetFacet", "1-2-0", fields=fields, dataset=[])


def _sql(inputs: Sequence[Json], output: Json) -> str:
    columns = ",\n    ".join(column["name"] for column in output["facets"]["schema"]["fields"])
    joins = "\n  JOIN ".join(item["name"] for item in inputs)
    return f"INSERT INTO {output['name']}\nSELECT\n    {columns}\nFROM {joins}\nWHERE updated_at > current_date - 1"


def _airflow(rng: random.Random, number: int) -> Iterator[Json]:
    dag, task = f"{rng.choice(NOUNS)}_{rng.choice(STAGES)}_{number}", rng.choice(("load", "transform", "publish"))
    namespace = f"airflow-{rng.choice(('eu', 'us', 'me'))}"
    kind = _facet(AIRFLOW, "JobTypeJobFacet", "2-0-3", integration="AIRFLOW", jobType="TASK", processingType="BATCH")
    inputs = [_dataset(rng, AIRFLOW, "postgres://shop:5432", "raw", number + at) for at in range(rng.randrange(1, 4))]
    output = _dataset(rng, AIRFLOW, "bigquery", rng.choice(STAGES), number)
    output["facets"]["columnLineage"] = _column_lineage(rng, AIRFLOW, inputs, output)
    task_job = {
        "namespace": namespace,
        "name": f"{dag}.{task}",
        "facets": {
            "jobType": kind,
            "sql": _facet(AIRFLOW, "SQLJobFacet", query=_sql(inputs, output)),
            "ownership": _facet(AIRFLOW, "OwnershipJobFacet", "1-0-1", owners=[{"name": rng.choice(NOUNS), "type": "team"}]),
        },
    }
    parent = _facet(AIRFLOW, "ParentRunFacet", "1-0-1", run={"runId": "@run0@"}, job={"namespace": namespace, "name": dag})
    engine = _facet(
        AIRFLOW, "ProcessingEngineRunFacet", "1-1-1", version="3.0.0", name="Airflow", openlineageAdapterVersion="1.14.0"
    )
    details = _facet(
        AIRFLOW,
        "AirflowRunFacet",
        dag={
            "dag_id": dag,
            "schedule_interval": "@daily",
            "owner": "airflow",
            "fileloc": f"/opt/airflow/dags/{dag}.py",
            "tags": "[]",
            "timetable": {},
        },
        taskUuid="@run1@",
        task={
            "task_id": task,
            "operator_class": "BigQueryInsertJobOperator",
            "trigger_rule": "all_success",
            "retries": 2,
            "depends_on_past": False,
            "downstream_task_ids": "[]",
            "upstream_task_ids": "[]",
            "mapped": False,
            "queue": "default",
        },
    )
    nominal = _facet(AIRFLOW, "NominalTimeRunFacet", "1-0-1", nominalStartTime="@time@", nominalEndTime="@time@")
    dag_job = {"namespace": namespace, "name": dag, "facets": {"jobType": kind | {"jobType": "DAG"}}}
    dag_run: Json = {"runId": "@run0@", "facets": {"nominalTime": nominal, "processing_engine": engine}}
    run: Json = {
        "runId": "@run1@",
        "facets": {"parent": parent, "processing_engine": engine, "airflow": details, "nominalTime": nominal},
    }
    failed = _facet(
        AIRFLOW,
        "ErrorMessageRunFacet",
        message="Query exceeded its quota",
        programmingLanguage="python",
        stackTrace="Traceback (most recent call last):\n" + '  File "/opt/airflow/task.py", line @count@\n' * 8,
    )
    yield _event(AIRFLOW, "RunEvent", dag_job, eventType="START", run=dag_run, inputs=[], outputs=[])
    yield _event(AIRFLOW, "RunEvent", task_job, eventType="START", run=run, inputs=inputs, outputs=[])
    if number % 20 == 3:
        broken = run | {"facets": run["facets"] | {"errorMessage": failed}}
        yield _event(AIRFLOW, "RunEvent", task_job, eventType="FAIL", run=broken, inputs=inputs, outputs=[])
        yield _event(AIRFLOW, "RunEvent", dag_job, eventType="FAIL", run=dag_run, inputs=[], outputs=[])
        return
    yield _event(AIRFLOW, "RunEvent", task_job, eventType="COMPLETE", run=run, inputs=inputs, outputs=[output])
    yield _event(AIRFLOW, "RunEvent", dag_job, eventType="COMPLETE", run=dag_run, inputs=[], outputs=[])


def _spark(rng: random.Random, number: int) -> Iterator[Json]:
    name = f"{rng.choice(NOUNS)}_app_{number}.execute_insert_into_hadoop_fs_relation_command"
    kind = _facet(SPARK, "JobTypeJobFacet", "2-0-3", integration="SPARK", jobType="SQL_JOB", processingType="BATCH")
    job = {"namespace": "spark-prod", "name": name, "facets": {"jobType": kind}}
    engine = _facet(
        SPARK, "ProcessingEngineRunFacet", "1-1-1", version="3.5.1", name="spark", openlineageAdapterVersion="1.23.0"
    )
    properties = {
        f"spark.{key}": f"value-{number}-{key}" for key in ("master", "app.name", "executor.memory", "sql.shuffle.partitions")
    }
    facets = {
        "processing_engine": engine,
        "spark_properties": _facet(SPARK, "RunFacet", properties=properties),
        "parent": _facet(
            SPARK,
            "ParentRunFacet",
            "1-0-1",
            run={"runId": "@run1@"},
            job={"namespace": "spark-prod", "name": name.split(".", maxsplit=1)[0]},
        ),
        "environment-properties": _facet(
            SPARK, "RunFacet", **{"environment-properties": {"cluster": "c-@count@", "node": "m5"}}
        ),
    }
    run = {"runId": "@run0@", "facets": facets}
    inputs = [_dataset(rng, SPARK, "s3://lake", "clean", number + at) for at in range(rng.randrange(1, 3))]
    output = _dataset(rng, SPARK, "s3://lake", rng.choice(STAGES), number)
    link = {"namespace": "hive://metastore:9083", "name": f"db.{output['name'].replace('.', '_')}", "type": "TABLE"}
    output["facets"] |= {
        "symlinks": _facet(SPARK, "SymlinksDatasetFacet", "1-0-1", identifiers=[link]),
        "storage": _facet(SPARK, "StorageDatasetFacet", storageLayer="delta", fileFormat="parquet"),
        "lifecycleStateChange": _facet(SPARK, "LifecycleStateChangeDatasetFacet", "1-0-1", lifecycleStateChange="OVERWRITE"),
        "columnLineage": _column_lineage(rng, SPARK, inputs, output),
    }
    plan = _facet(
        SPARK,
        "LogicalPlanFacet",
        plan=[
            {
                "class": "org.apache.spark.sql.catalyst.plans.logical.Project",
                "num-children": 1,
                "projectList": [
                    [{"class": "AttributeReference", "name": column["name"], "dataType": column["type"], "nullable": True}]
                    for column in output["facets"]["schema"]["fields"][:4]
                ],
            }
        ],
    )
    statistics = _facet(SPARK, "OutputStatisticsOutputDatasetFacet", "1-0-2", rowCount=1, size=1, fileCount=4)
    done = output | {"outputFacets": {"outputStatistics": statistics}}
    yield _event(
        SPARK,
        "RunEvent",
        job,
        eventType="START",
        inputs=[],
        outputs=[],
        run=run | {"facets": facets | {"spark.logicalPlan": plan}},
    )
    yield _event(SPARK, "RunEvent", job, eventType="RUNNING", run=run, inputs=inputs, outputs=[output])
    yield _event(SPARK, "RunEvent", job, eventType="COMPLETE", run=run, inputs=inputs, outputs=[done])
    if number % 40 == 2:
        gone = {"lifecycleStateChange": _facet(SPARK, "LifecycleStateChangeDatasetFacet", "1-0-1", lifecycleStateChange="DROP")}
        dropped = {"namespace": "s3://lake", "name": f"tmp.scratch_{number}", "facets": gone}
        clean = {"namespace": "spark-prod", "name": f"{name.split('.', maxsplit=1)[0]}.drop_table", "facets": {"jobType": kind}}
        yield _event(SPARK, "RunEvent", clean, eventType="COMPLETE", run={"runId": "@run2@", "facets": {}}, outputs=[dropped])


def _dbt(rng: random.Random, number: int) -> Iterator[Json]:
    job_name = f"analytics.{rng.choice(NOUNS)}_model_{number}"
    inputs = [_dataset(rng, DBT, "snowflake://acme", rng.choice(STAGES), number + at) for at in range(rng.randrange(1, 4))]
    output = _dataset(rng, DBT, "snowflake://acme", "mart", number)
    output["facets"]["documentation"] = _facet(
        DBT, "DocumentationDatasetFacet", description=f"Model {job_name}: " + "text " * 12
    )
    output["facets"]["columnLineage"] = _column_lineage(rng, DBT, inputs, output)
    job = {
        "namespace": "dbt-cloud",
        "name": job_name,
        "facets": {
            "sql": _facet(DBT, "SQLJobFacet", query=_sql(inputs, output)),
            "jobType": _facet(DBT, "JobTypeJobFacet", "2-0-3", integration="DBT", jobType="MODEL", processingType="BATCH"),
        },
    }
    facets = {
        "parent": _facet(
            DBT, "ParentRunFacet", "1-0-1", run={"runId": "@run1@"}, job={"namespace": "dbt-cloud", "name": "build"}
        ),
        "dbt_version": _facet(DBT, "DbtVersionRunFacet", version="1.9.4"),
        "processing_engine": _facet(
            DBT, "ProcessingEngineRunFacet", "1-1-1", version="1.9.4", name="dbt", openlineageAdapterVersion="1.23.0"
        ),
    }
    run = {"runId": "@run0@", "facets": facets}
    checks = [
        {"assertion": "not_null", "success": at % 9 != 1, "column": column["name"]}
        for at, column in enumerate(output["facets"]["schema"]["fields"][:5])
    ]
    judged = output | {
        "inputFacets": {"dataQualityAssertions": _facet(DBT, "DataQualityAssertionsDatasetFacet", assertions=checks)}
    }
    test = {"namespace": "dbt-cloud", "name": f"{job_name}.test", "facets": {}}
    yield _event(DBT, "RunEvent", job, eventType="START", run=run, inputs=inputs, outputs=[])
    yield _event(DBT, "RunEvent", job, eventType="COMPLETE", run=run, inputs=inputs, outputs=[output])
    yield _event(
        DBT, "RunEvent", test, eventType="COMPLETE", run={"runId": "@run2@", "facets": facets}, inputs=[judged], outputs=[]
    )


def _declared(rng: random.Random, number: int) -> Iterator[Json]:
    """What catalogs send: a job and a dataset without a run."""
    item = _dataset(rng, DBT, "snowflake://acme", rng.choice(STAGES), number)
    owners = _facet(DBT, "OwnershipDatasetFacet", "1-0-1", owners=[{"name": f"team-{number % 7}", "type": "DATA_OWNER"}])
    yield {
        "eventTime": "@time@",
        "producer": DBT,
        "schemaURL": f"{SPEC}/2-0-2/OpenLineage.json#/$defs/DatasetEvent",
        "dataset": item
        | {
            "facets": item["facets"]
            | {
                "ownership": owners,
                "tags": _facet(DBT, "TagsDatasetFacet", tags=[{"key": "revision", "value": "@count@", "source": "CATALOG"}]),
            }
        },
    }
    job = {
        "namespace": "catalog",
        "name": f"declared_{number}",
        "facets": {
            "documentation": _facet(
                DBT, "DocumentationJobFacet", "1-1-0", description="Declared by the catalog, revision @count@."
            )
        },
    }
    yield _event(DBT, "JobEvent", job, inputs=[item], outputs=[])

"""ODCS v3 YAML → ``Contract``. Spelling: docs/contracts.md.

All faults are found in one pass, each with line and column; a contract with a fault is not returned at all.
"""

from __future__ import annotations

import hashlib
from decimal import Decimal
from typing import Any, cast

from . import standard, values
from .columns import read_fields, read_rules
from .contract import BRONZE_FILE, BRONZE_ROW, Contract, Field, Input, Kpi, Layer, Partition, PartitionKind, RowRule, Sla
from .contract import Source as DropSource
from .faults import ContractInvalid, Fault
from .reader import Custom, Reader
from .shapes import arrow_schema, json_schema
from .values import Unreadable
from .yaml_source import Source, load

CUSTOM = (
    "layer", "title", "source", "history", "orderBy", "partitionBy", "inputs", "touches", "transform", "serve", "kpi",
    "minRefreshInterval", "tier",
)  # fmt: skip
DATED = ("business_date", "date", "month")


def parse(text: str | bytes, filename: str = "contract") -> Contract:
    """Reads and checks one contract.

    Raises
    ------
    ContractInvalid
        With every fault found: YAML, the standard's schema and model, then our own rules.
    """
    source = load(text, filename=filename)
    standard.check(source)
    departures = len(source.faults)
    contract = _build(source)
    if source.faults:
        raise ContractInvalid(_told(source.faults, departures), filename=filename)
    return contract


def _told(faults: list[Fault], departures: int) -> list[Fault]:
    """One fault a place: the standard's words unless they are the vague ones. The first ``departures`` are the standard's."""
    vague = [fault.reason.startswith(standard.GENERIC) for fault in faults[:departures]]
    named = {fault.path for fault, is_vague in zip(faults, vague, strict=False) if not is_vague}
    own = [fault for fault in faults[departures:] if fault.path not in named]
    ours = {fault.path for fault in own}
    return [f for f, is_vague in zip(faults, vague, strict=False) if not (is_vague and f.path in ours)] + own


def from_document(document: dict[str, Any], *, text: str) -> Contract:
    """Rebuilds a contract from a stored document that ``parse`` has accepted before, about ten times faster than parsing.

    Rules that were added since are not applied: what was accepted once stays readable.
    """
    source = Source(text=text, filename="stored contract")
    source.data = document
    return _build(source)


def to_yaml(contract: Contract) -> str:
    """The author's own text, comments and all."""
    return contract.text


def _build(source: Source) -> Contract:
    root = Reader(source, source.data)
    custom = root.custom(*CUSTOM)
    _check_header(root)
    layer = cast(Layer, custom.choice("layer", ("silver", "gold")) or "silver")
    if not custom.has("layer"):
        root.fault("the custom property 'layer' is missing: silver or gold", "customProperties")
    table = next(root.items("schema"), None)
    if table is None:
        root.fault("'schema' is missing: a contract describes exactly one table", "schema")
        table = Reader(source, {}, ("schema", 0))
    elif len(source.data["schema"]) > 1:
        root.fault("a contract describes exactly one table; put the second one in a file of its own", "schema", 1)
    dataset = _dataset(table)
    fields, key = read_fields(table, layer=layer)
    columns = {field.name: field for field in fields}
    drops = _read_source(custom, layer)
    sla = _read_sla(root)
    if drops and drops.cadence_s is None and sla.frequency_s:
        drops = DropSource(drops.format, sla.frequency_s, drops.time_zone, drops.delimiter, drops.encoding)
    partition = _read_partition(custom, columns, layer)
    owner, steward = _read_team(root)
    description = root.child("description")
    return Contract(
        dataset=dataset,
        version=str(root.raw("version") or ""),
        layer=layer,
        domain=root.need("domain", "which business domain answers for this data"),
        product=_named(root, "dataProduct", "the data product that this dataset belongs to", values.KEY),
        title=custom.text("title") or table.text("businessName") or root.text("name") or dataset,
        description=description.text("purpose") or table.text("description"),
        owner=owner,
        steward=steward,
        fields=fields,
        key=key,
        order_by=_read_order(custom, columns, layer),
        history=_read_history(custom, columns, layer),
        partition=partition,
        source=drops,
        sla=sla,
        rules=_checked_rules(table, columns),
        inputs=_read_inputs(custom, dataset, layer, columns),
        touches=_read_touches(custom, columns, partition),
        transform=_read_transform(custom, dataset, layer),
        serve=custom.flag("serve"),
        kpi=_read_kpi(custom, layer, columns),
        min_refresh_interval_s=custom.read("minRefreshInterval", values.seconds),
        tier=custom.choice("tier", ("critical", "standard", "experimental")) or "standard",
        document=source.data,
        text=source.text,
        sha256=hashlib.sha256(source.text.encode()).hexdigest(),
        places=source.marks,
    )


def _check_header(root: Reader) -> None:
    api = root.raw("apiVersion")
    if isinstance(api, str) and not api.startswith("v3."):
        root.fault(f"{api} is not supported; write apiVersion: v3.1.0 (any v3)", "apiVersion")
    version = root.raw("version")
    if isinstance(version, str) and not values.SEMANTIC_VERSION.fullmatch(version):
        root.fault(f"'{version}' is not a version of the form major.minor.patch, for example 1.0.0", "version")
    if root.raw("status") not in (None, "proposed", "draft", "active", "deprecated", "retired"):
        root.fault("the status is one of proposed, draft, active, deprecated, retired", "status")


def _named(reader: Reader, name: str, why: str, form: Any) -> str:
    text = reader.need(name, why)
    if text and not form.fullmatch(text):
        reader.fault(f"'{text}' is not a valid name: lower-case letters, digits and _, starting with a letter", name)
    return text


def _dataset(table: Reader) -> str:
    if table.raw("physicalType") not in (None, "table"):
        table.fault("only tables are supported: physicalType: table", "physicalType")
    return _named(table, "name", "the dataset's name", values.NAME)


def _read_team(root: Reader) -> tuple[str, str]:
    team = root.raw("team")
    members = list(root.items("team")) if isinstance(team, list) else list(root.child("team").items("members"))
    found: dict[str, str] = {}
    for member in members:
        role = member.text("role").lower()
        if role in found and role in {"owner", "steward"}:
            member.fault(f"a second {role}; a contract names one, {found[role]} stands above", "role")
        found.setdefault(role, member.text("username"))
    if not found.get("owner"):
        root.fault("no owner: name a team member with role owner", "team", key=True)
    return found.get("owner", ""), found.get("steward") or found.get("owner", "")


def _read_sla(root: Reader) -> Sla:
    known: dict[str, int] = {}
    extra: list[tuple[str, Any, str | None]] = []
    for item in root.items("slaProperties"):
        name, unit = item.text("property"), item.text("unit") or None
        if name not in {"freshness", "frequency", "latency", "retention"}:
            extra.append((name, item.raw("value"), unit))
            continue
        if name in known:
            item.fault(f"{name} is promised twice", "property")
        convert = values.days if name == "retention" else values.seconds
        try:
            known[name] = convert(item.raw("value"), unit)
        except Unreadable as error:
            item.fault(str(error), "unit" if "unit" in str(error) else "value")
    return Sla(known.get("freshness"), known.get("frequency"), known.get("latency"), known.get("retention"), tuple(extra))


def _read_source(custom: Custom, layer: Layer) -> DropSource | None:
    if layer == "gold":
        if custom.has("source"):
            custom.fault("a gold dataset has inputs, not a source", "source")
        return None
    if not custom.has("source"):
        custom.fault("the custom property 'source' is missing: a silver dataset says how its drops look, at least their format")
        return None
    source = custom.child("source")
    source.only("format", "timeZone", "cadence", "delimiter", "encoding")
    kind = source.choice("format", ("csv", "json", "parquet"))
    if kind is None and not source.has("format"):
        source.fault("'format' is missing: csv, json or parquet", "format")
    delimiter = source.read("delimiter", _delimiter) or ","
    return DropSource(
        format=cast(Any, kind or "csv"),
        cadence_s=source.read("cadence", values.seconds),
        time_zone=source.read("timeZone", _zone) or "Europe/Paris",
        delimiter=delimiter,
        encoding=source.choice("encoding", ("utf-8", "iso-8859-1", "windows-1252")) or "utf-8",
    )


def _delimiter(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 1 or value in "\"'\n\r":
        raise Unreadable("the delimiter is one character, for example ';' or '|'")
    return value


def _zone(value: Any) -> str:
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(value).key
    except (ValueError, KeyError, OSError, TypeError):
        raise Unreadable(f"{value!r} is not a time zone; write for example Europe/Paris or UTC") from None


def _read_partition(custom: Custom, columns: dict[str, Field], layer: Layer) -> Partition | None:
    if not custom.has("partitionBy"):
        return None
    part = custom.child("partitionBy")
    part.only("column", "source", "kind", "stable", "buckets")
    column = _named(part, "column", "the partition column", values.NAME)
    kind = cast(PartitionKind, part.choice("kind", ("business_date", "date", "hash", "month")) or "date")
    source = part.text("source", column)
    fields = columns.get(source)
    place = "source" if part.has("source") else "column"
    if column and fields is None:
        part.fault(f"'{source}' is not a field of this contract", place)
    elif fields is not None:
        wanted = {"business_date": ("timestamp",), "date": ("date",), "month": ("date",), "hash": ("string", "integer")}[kind]
        if fields.type not in wanted:
            part.fault(
                f"a partition of kind {kind} is made from a field of type {' or '.join(wanted)}; {source} is {fields.type}",
                place,
            )
        if not fields.required:
            part.fault(f"'{source}' may be NULL; the source of a partition must be required", place)
        if kind == "hash" and layer == "silver" and fields.pii and column == source:
            part.fault("never partition by personal data itself: its values would stand in path names", "column")
    buckets = part.whole("buckets", 1)
    if kind == "hash" and buckets != 16:
        part.fault("a hash partition has 16 buckets (first hexadecimal digit of the MD5): write buckets: 16", "buckets")
    if kind != "hash" and buckets is not None:
        part.fault("only a hash partition has buckets", "buckets")
    return Partition(column=column, source=source, kind=kind, stable=part.flag("stable", True), buckets=buckets)


def _columns_of(custom: Custom, name: str, columns: dict[str, Field], also: set[str] = frozenset()) -> tuple[str, ...]:  # type: ignore[assignment]
    found = custom.texts(name)
    for index, one in enumerate(found):
        if one not in columns and one not in also:
            custom.fault(f"'{one}' is not a field of this contract", name, index)
        if one in found[:index]:
            custom.fault(f"'{one}' stands twice", name, index)
    return found


def _read_order(custom: Custom, columns: dict[str, Field], layer: Layer) -> tuple[str, ...]:
    if custom.has("orderBy"):
        return _columns_of(custom, "orderBy", columns)
    return tuple(name for name in ("updated_at", "source_seq") if name in columns) if layer == "silver" else ()


def _read_history(custom: Custom, columns: dict[str, Field], layer: Layer) -> bool:
    history = custom.flag("history")
    if history and layer == "silver":
        moment = columns.get("updated_at")
        if moment is None or moment.type != "timestamp" or not moment.required:
            custom.fault(
                "history keeps every version by key and updated_at: the field updated_at (timestamp, required) is missing",
                "history",
            )
    return history


def _read_touches(custom: Custom, columns: dict[str, Field], partition: Partition | None) -> tuple[str, ...]:
    if not custom.has("touches"):
        return (partition.column,) if partition and partition.kind in DATED else ()
    return _columns_of(custom, "touches", columns, {partition.column} if partition else set())


def _read_transform(custom: Custom, dataset: str, layer: Layer) -> str | None:
    if layer == "silver":
        return custom.text("transform") or None
    name = custom.text("transform", f"{dataset}.sql")
    if "/" in name or "\\" in name or not name.endswith(".sql"):
        custom.fault("the transform is the name of a .sql file, without a folder", "transform")
    return name


def _checked_rules(table: Reader, columns: dict[str, Field]) -> tuple[RowRule, ...]:
    return read_rules(table, set(columns))


def _read_inputs(custom: Custom, dataset: str, layer: Layer, columns: dict[str, Field]) -> tuple[Input, ...]:
    found: list[Input] = []
    if layer == "silver" and custom.has("inputs"):
        custom.fault("a silver dataset has a source, not inputs", "inputs")
    if layer == "gold" and not custom.raw("inputs"):
        custom.fault("the custom property 'inputs' is missing: a gold dataset names the datasets that its SQL reads", "inputs")
    for item in custom.items("inputs"):
        item.only("dataset", "trigger", "triggerWindow", "read", "dimension")
        name = _named(item, "dataset", "the dataset that is read", values.NAME)
        if name == dataset:
            item.fault("a dataset cannot be its own input", "dataset")
        if any(one.dataset == name for one in found):
            item.fault(f"'{name}' is named twice among the inputs", "dataset")
        item.source.marks[f"input:{name}"] = item.source.place((*item.path, "dataset"))
        trigger = item.text("trigger") or None
        if item.has("triggerWindow") and trigger is None:
            item.fault("a triggerWindow needs a trigger", "triggerWindow", key=True)
        found.append(
            Input(
                dataset=name,
                trigger=trigger,
                trigger_window=item.read("triggerWindow", _window) or (0, 0),
                read=item.read("read", _read_scope) or "all",
                dimension=item.read("dimension", _dimension),
            )
        )
        if (pair := found[-1].dimension) and (missing := [one for one in pair if one not in columns]):
            item.fault(
                f"{', '.join(missing)}: a dimension's key and time are fields of this (the reading) dataset", "dimension"
            )
    return tuple(found)


def _window(value: Any) -> tuple[int, int]:
    low, high = _pair(value, ("from", "to"), "days: [from, to]")
    if not all(isinstance(one, int) and not isinstance(one, bool) for one in (low, high)) or low > high:
        raise Unreadable("expected two whole numbers of days [from, to], the smaller one first")
    return int(low), int(high)


def _pair(value: Any, names: tuple[str, str], form: str) -> tuple[Any, Any]:
    if isinstance(value, dict) and set(value) == set(names):
        return value[names[0]], value[names[1]]
    if isinstance(value, list) and len(value) == 2:
        return value[0], value[1]
    raise Unreadable(f"expected {form}")


def _read_scope(value: Any) -> Any:
    if value == "all":
        return "all"
    if isinstance(value, list) and len(value) == 3:
        column, window = value[0], value[1:]
    elif isinstance(value, dict) and set(value) == {"column", "from", "to"}:
        column, window = value["column"], [value["from"], value["to"]]
    else:
        raise Unreadable("expected all, or {column: name, from: days, to: days}")
    if not isinstance(column, str) or not values.NAME.fullmatch(column):
        raise Unreadable(f"{column!r} is not a column name")
    return (column, *_window(window))


def _dimension(value: Any) -> tuple[str, str]:
    key, time = _pair(value, ("key", "time"), "{key: column, time: column}")
    if not all(isinstance(one, str) and values.NAME.fullmatch(one) for one in (key, time)):
        raise Unreadable("a dimension has the key and the time column of the facts: {key: sku, time: ordered_at}")
    return key, time


def _read_kpi(custom: Custom, layer: Layer, columns: dict[str, Field]) -> Kpi | None:
    if not custom.has("kpi"):
        return None
    kpi = custom.child("kpi")
    kpi.only("key", "title", "unit", "cadence", "better", "target")
    if layer != "gold":
        custom.fault("a KPI is a gold dataset", "kpi")
    if missing := [name for name in ("business_date", "value", "numerator", "denominator") if name not in columns]:
        custom.fault(f"a KPI's table has the fields {', '.join(missing)}, missing here", "kpi")
    cadence = kpi.read("cadence", values.seconds)
    if not kpi.has("cadence"):
        kpi.fault("'cadence' is missing: the KPI's maximum age, for example 2 min", "cadence")
    target: Decimal | None = kpi.read("target", values.number)
    return Kpi(
        key=_named(kpi, "key", "the KPI's permanent name", values.NAME),
        title=kpi.need("title", "what people call it"),
        unit=kpi.need("unit", "EUR, ratio, points or days"),
        cadence_s=cadence or 0,
        better=cast(Any, kpi.choice("better", ("higher", "lower")) or "higher"),
        target=target,
    )


__all__ = ["BRONZE_FILE", "BRONZE_ROW", "ContractInvalid", "arrow_schema", "from_document", "json_schema", "parse", "to_yaml"]

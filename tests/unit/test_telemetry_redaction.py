"""Personal data and secrets stay out of logs."""

import io
import json
import logging
import logging.config
from collections.abc import Iterator

import pytest
import structlog

from controlplane.telemetry.context import bind, correlation_id, correlation_id_valid
from controlplane.telemetry.domain.redaction import MASK, redact, redact_text
from controlplane.telemetry.logs import logging_config


@pytest.mark.parametrize(
    "personal",
    [
        "jean.dupont+tag@example.fr",
        "jean%40example.fr",
        "+33 6 12 34 56 78",
        "0033612345678",
        "06 12 34 56 78",
        "0612345678",
        "+971501234567",
        "Bearer abcdefghijklmnop",
        "ts_0123456789ab_c2VjcmV0",
        "password=hunter22",
    ],
)
def test_personal_data_and_secrets_are_masked(personal: str) -> None:
    masked = redact_text(f"value {personal} is bad")
    assert MASK in masked
    assert masked.startswith("value ")
    assert masked.endswith(" is bad")
    for part in personal.replace("=", " ").replace("@", " ").split():
        assert part in {"Bearer", "password"} or part not in masked


@pytest.mark.parametrize(
    "harmless",
    [
        "2026-11-24T15:54:00.123456+00:00",
        "2026-11-24 15:54:00+01:00",
        "3f2b8c1e-0a1d-4c5e-9f00-0612345678ab",
        "184220.50",
        "0.0612345678",
        "s3://bronze/orders/2024/05/part-0.csv",
        "d0a1b2c3d4e5f60612345678aabbccdd",
        "1732463640123",
    ],
)
def test_times_ids_amounts_and_paths_stay_readable(harmless: str) -> None:
    assert redact_text(harmless) == harmless


def test_names_that_promise_secrets_mask_their_values_but_counts_stay() -> None:
    event = {"customer_token": "abc", "Authorization": "x", "tokens": 12, "nested": {"email": "x", "rows": 3}}
    assert redact(event) == {"customer_token": MASK, "Authorization": MASK, "tokens": 12, "nested": {"email": MASK, "rows": 3}}


def test_the_password_of_an_address_is_masked() -> None:
    assert redact_text("postgresql://me:secret@db:5432/x") == f"postgresql://{MASK}@db:5432/x"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    root = logging.getLogger()
    before = (list(root.handlers), root.level)
    config = logging_config(level="INFO")
    config["handlers"]["stderr"]["stream"] = stream
    logging.config.dictConfig(config)
    yield stream
    root.handlers, root.level = before


def test_a_line_from_either_kind_of_logger_is_json_with_time_level_and_correlation_id(lines: io.StringIO) -> None:
    with bind(correlation_id="abc-1", run="r1"):
        structlog.get_logger("ours").info("landed", rows=3)
        logging.getLogger("theirs").warning("bad %s", "a@b.example", extra={"phone": "x", "rows": 2})
    ours, theirs = (json.loads(line) for line in lines.getvalue().splitlines())
    assert ours["event"] == "landed"
    assert (ours["level"], ours["logger"], ours["rows"], ours["run"]) == ("info", "ours", 3, "r1")
    assert ours["timestamp"].endswith("Z")
    assert ours["correlation_id"] == theirs["correlation_id"] == "abc-1"
    assert theirs["event"] == f"bad {MASK}"
    assert (theirs["phone"], theirs["rows"]) == (MASK, 2)


def test_a_traceback_is_redacted_as_well(lines: io.StringIO) -> None:
    try:
        raise ValueError("Key (email)=(jean@example.fr) already exists")
    except ValueError:
        logging.getLogger("x").exception("failed")
    assert "jean@" not in lines.getvalue()
    assert "ValueError" in json.loads(lines.getvalue())["exception"]


def test_bind_restores_what_was_there() -> None:
    with bind(correlation_id="outer"):
        with bind(correlation_id="inner"):
            assert correlation_id() == "inner"
        with bind():
            assert correlation_id() == "outer"
    assert correlation_id() == ""


def test_an_id_that_could_forge_log_lines_or_headers_is_not_valid() -> None:
    assert correlation_id_valid("a1:b.c_d-e")
    for wrong in ("", "a b", "a\nb", "x" * 65, "-a", "é"):
        assert not correlation_id_valid(wrong)

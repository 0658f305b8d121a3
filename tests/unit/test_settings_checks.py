"""Every fault of the environment is named, with the way to mend it."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from django.core.checks import CheckMessage, Error

from controlplane.settings import checks, env


def faults_of(**environ: str) -> list[CheckMessage]:
    read, faults = env.load(environ)
    return [
        *checks.environment_faults(faults),
        *checks.engine_faults(read),
        *checks.address_faults(read),
        *checks.time_zone_faults(read.time_zone),
        *checks.production_faults(read),
    ]


def test_an_empty_environment_has_no_faults() -> None:
    assert faults_of() == []


@pytest.mark.parametrize(
    ("environ", "identifier", "named"),
    [
        ({"PORT": "eighty"}, "touchstone.E001", "PORT"),
        ({"PORT": "70000"}, "touchstone.E001", "PORT"),
        ({"TOUCHSTONE_ENGINE": "hive"}, "touchstone.E001", "TOUCHSTONE_ENGINE"),
        ({"TOUCHSTONE_DEBUG": "perhaps"}, "touchstone.E001", "TOUCHSTONE_DEBUG"),
        ({"TOUCHSTONE_WORKER_CONCURRENCY": "0"}, "touchstone.E001", "TOUCHSTONE_WORKER_CONCURRENCY"),
        ({"TOUCHSTONE_ENGINE": "spark"}, "touchstone.E003", "SPARK_REMOTE"),
        ({"SPARK_REMOTE": "spark://host:7077"}, "touchstone.E004", "SPARK_REMOTE"),
        ({"DATABASE_URL": "mysql://host/db"}, "touchstone.E005", "DATABASE_URL"),
        ({"REDIS_URL": "host:6379"}, "touchstone.E005", "REDIS_URL"),
        ({"TOUCHSTONE_LAKE_URL": "ftp://host/lake"}, "touchstone.E005", "TOUCHSTONE_LAKE_URL"),
        ({"TOUCHSTONE_TIME_ZONE": "Europe/Atlantis"}, "touchstone.E006", "TOUCHSTONE_TIME_ZONE"),
        ({"TOUCHSTONE_DEBUG": "true"}, "touchstone.W002", "TOUCHSTONE_DEBUG"),
        ({"TOUCHSTONE_ALLOWED_HOSTS": "*"}, "touchstone.W003", "TOUCHSTONE_ALLOWED_HOSTS"),
        ({"TOUCHSTONE_SECRET_KEY": "short"}, "touchstone.W004", "TOUCHSTONE_SECRET_KEY"),
    ],
)
def test_each_fault_names_its_variable_and_says_how_to_mend_it(environ: dict[str, str], identifier: str, named: str) -> None:
    [fault] = faults_of(**environ)
    assert fault.id == identifier
    assert named in fault.msg
    assert fault.hint


def test_all_faults_are_named_at_once() -> None:
    assert len(faults_of(PORT="x", TOUCHSTONE_ENGINE="y", TOUCHSTONE_TIME_ZONE="z", DATABASE_URL="w:")) == 4


def test_a_password_in_an_address_is_not_repeated() -> None:
    [fault] = faults_of(DATABASE_URL="mysql://user:hunter2@host/db")
    assert "hunter2" not in str(fault)


def test_debug_outside_of_production_is_no_fault() -> None:
    assert faults_of(TOUCHSTONE_DEBUG="true", TOUCHSTONE_ENVIRONMENT="development") == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_home_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    [fault] = checks.home_faults(tmp_path, tmp_path)
    assert isinstance(fault, Error)


def test_a_home_that_is_missing_is_an_error(tmp_path: Path) -> None:
    [fault] = checks.home_faults(tmp_path / "none", tmp_path)
    assert fault.id == "touchstone.E002"


def test_a_relative_home_outside_of_the_checkout_is_a_warning(tmp_path: Path) -> None:
    [fault] = checks.home_faults(tmp_path, Path("../elsewhere"))
    assert fault.id == "touchstone.W001"
    assert checks.home_faults(tmp_path, Path("var")) == []


def test_an_address_where_nobody_listens_is_a_warning_that_says_what_to_start() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, not listening: nobody else can take the port meanwhile
        url = f"postgresql://u:secret@127.0.0.1:{closed.getsockname()[1]}/db"
        [own] = checks.unreachable("DATABASE_URL", url, 5432, embedded=True)
        [outside] = checks.unreachable("DATABASE_URL", url, 5432, embedded=False)
    assert own.hint is not None
    assert "make up" in own.hint
    assert outside.hint is not None
    assert "DATABASE_URL" in outside.hint
    assert "secret" not in str(own) + str(outside)


def test_an_address_where_somebody_listens_is_no_fault() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert checks.unreachable("REDIS_URL", f"redis://127.0.0.1:{port}/0", 6379, embedded=False) == []

"""The embedded servers, driven for real in homes of their own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from controlplane.embedded import Home, Services
from controlplane.embedded.account import SHARED
from controlplane.embedded.home import ROOT, read_json
from controlplane.embedded.redis import Redis

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="changes the account, which only root may")


@pytest.fixture
def new_home() -> Iterator[Callable[[str], Home]]:
    """Homes that any account can reach, destroyed afterwards whatever happened to them."""
    base = Path(tempfile.mkdtemp(dir=ROOT / "var" / "test", prefix="homes "))
    base.chmod(0o755)
    homes: list[Home] = []

    def make(name: str = "home") -> Home:
        homes.append(Home((base / name).resolve()))
        return homes[-1]

    yield make
    for home in homes:
        Services(home, environ={}).destroy()
    shutil.rmtree(base)


def services(home: Home, **environ: str) -> Services:
    return Services(home, fast=True, environ=environ)


def one(url: str, sql: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(sql)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def runs(pid: int) -> bool:
    """A zombie does not: an orphan's corpse stays until process 1 collects it."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_both_servers_start_and_their_addresses_are_written_for_their_owner_only(new_home: Callable[[str], Home]) -> None:
    home = new_home("with a space")
    mine = services(home)
    urls = mine.start()
    written = json.loads(home.services_file.read_text())
    assert written["database_url"] == urls["DATABASE_URL"]
    assert written["redis_url"] == urls["REDIS_URL"]
    assert stat.S_IMODE(home.services_file.stat().st_mode) == 0o600
    assert stat.S_IMODE((home.path / "secrets" / "postgres-password").stat().st_mode) == 0o600
    assert str(one(urls["DATABASE_URL"], "SHOW server_version")).startswith("18")
    assert mine.stop()
    assert not home.services_file.exists()
    assert mine.status() == {"postgres": None, "redis": None}


def test_a_wrong_password_is_refused_by_both(new_home: Callable[[str], Home]) -> None:
    home = new_home("home")
    urls = services(home).start()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(urls["DATABASE_URL"].replace(home.secret("postgres-password"), "guess"))
    assert Redis(home)._ping(int(urls["REDIS_URL"].split(":")[-1].split("/")[0])).startswith("+PONG")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Home, "secret", lambda _self, _name: "guess")
        assert Redis(home)._ping(int(urls["REDIS_URL"].split(":")[-1].split("/")[0])).startswith("-WRONGPASS")


def test_personal_data_stay_out_of_the_log_of_the_server(new_home: Callable[[str], Home]) -> None:
    home = new_home("home")
    urls = services(home).start()
    with pytest.raises(psycopg.errors.UndefinedTable):
        one(urls["DATABASE_URL"], "SELECT * FROM nowhere WHERE email = 'jeanne@example.org'")
    time.sleep(0.2)
    assert "jeanne" not in (home.log / "postgres.log").read_text()


def test_the_last_user_out_stops_the_servers_and_nobody_before(new_home: Callable[[str], Home]) -> None:
    home = new_home("home")
    first, second = services(home), services(home)
    urls = first.start()
    assert second.start() == urls
    assert not first.stop()
    assert one(urls["DATABASE_URL"], "SELECT 1") == 1
    assert second.stop()


def test_what_was_stored_is_there_after_a_restart_on_the_same_ports(new_home: Callable[[str], Home]) -> None:
    home = new_home("home")
    mine = Services(home, environ={})
    urls = mine.start()
    one(urls["DATABASE_URL"], "CREATE TABLE kept AS SELECT 7 AS n")
    mine.stop()
    assert mine.start() == urls
    assert one(urls["DATABASE_URL"], "SELECT n FROM kept") == 7


def test_a_service_that_the_environment_names_is_not_started(new_home: Callable[[str], Home]) -> None:
    mine = services(new_home("home"), DATABASE_URL="postgresql://elsewhere/db")
    assert list(mine.start()) == ["REDIS_URL"]
    assert mine.status()["postgres"] is None


def test_an_interrupted_initdb_is_done_again(new_home: Callable[[str], Home]) -> None:
    home = new_home("home")
    home.make()
    leftover = home.path / "postgres.init-dead"
    (leftover / "data").mkdir(parents=True)
    (leftover / "data" / "PG_VERSION").write_text("18\n")
    urls = services(home).start()
    assert one(urls["DATABASE_URL"], "SELECT 1") == 1
    assert not leftover.exists()


def test_servers_of_a_killed_process_are_taken_over(new_home: Callable[[str], Home]) -> None:
    home = new_home("home")
    command = [sys.executable, "-m", "controlplane.embedded", "run", "--fast", "--home", str(home.path), "--", "sleep", "60"]
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    starter = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    deadline = time.monotonic() + 20
    while not home.services_file.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    before = read_json(home.services_file)["pids"]
    os.killpg(starter.pid, signal.SIGKILL)
    starter.wait()
    mine = services(home)
    mine.start()
    assert read_json(home.services_file)["pids"] == before
    assert mine.stop()
    assert not any(runs(pid) for pid in before.values())


def test_a_database_server_that_died_is_started_again_with_its_data(new_home: Callable[[str], Home]) -> None:
    home = new_home("home")
    mine = Services(home, environ={})
    urls = mine.start()
    one(urls["DATABASE_URL"], "CREATE TABLE kept AS SELECT 7 AS n")
    os.kill(mine.status()["postgres"]["pid"], signal.SIGKILL)  # type: ignore[index]
    deadline = time.monotonic() + 10
    while mine.dead() != ["postgres"] and time.monotonic() < deadline:
        time.sleep(0.05)
    assert mine.dead() == ["postgres"]
    assert mine.start() == urls
    assert one(urls["DATABASE_URL"], "SELECT n FROM kept") == 7


def test_a_postmaster_file_whose_number_is_another_process_now_does_not_stop_the_start(new_home: Callable[[str], Home]) -> None:
    home = new_home("home")
    mine = services(home)
    mine.start()
    mine.stop()
    owner = home.postgres.stat()
    innocent = subprocess.Popen(["sleep", "60"], **({"user": owner.st_uid} if os.geteuid() == 0 else {}))  # type: ignore[call-overload]
    try:
        (home.postgres / "postmaster.pid").write_text(f"{innocent.pid}\n{home.postgres}\n1\n5432\n\n127.0.0.1\n\nready\n")
        mine.start()
        assert innocent.poll() is None
    finally:
        innocent.kill()
        innocent.wait()


@as_root
def test_a_private_folder_stays_private_and_the_data_lie_elsewhere(new_home: Callable[[str], Home], tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    home = Home((private / "home").resolve())
    mine = services(home)
    try:
        assert one(mine.start()["DATABASE_URL"], "SELECT 1") == 1
        assert home.postgres.is_symlink()
        data = home.postgres.readlink()
        assert data.is_relative_to(SHARED)
        assert stat.S_IMODE(data.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
    finally:
        mine.destroy()
    assert not data.parent.exists()


@as_root
def test_a_home_deleted_and_made_again_does_not_meet_the_data_of_the_old_one(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    home = Home((tmp_path / "home").resolve())
    first = services(home)
    one(first.start()["DATABASE_URL"], "CREATE TABLE old (n int)")
    first._users.release()
    redis = first.status()["redis"]
    shutil.rmtree(home.path)  # while it runs: nobody can stop people from doing so
    psutil.Process(redis["pid"]).kill()  # type: ignore[index]
    second = services(home)
    try:
        assert one(second.start()["DATABASE_URL"], "SELECT to_regclass('old')") is None
    finally:
        second.destroy()


def test_the_exit_code_of_the_command_is_passed_on(new_home: Callable[[str], Home]) -> None:
    command = [sys.executable, "-m", "controlplane.embedded", "run", "--fast", "--home", str(new_home("home").path), "--"]
    environment = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL")}
    check = "import os, sys; sys.exit(7 if os.environ['DATABASE_URL'] and os.environ['REDIS_URL'] else 1)"
    done = subprocess.run([*command, sys.executable, "-c", check], cwd=ROOT, env=environment, check=False)
    assert done.returncode == 7

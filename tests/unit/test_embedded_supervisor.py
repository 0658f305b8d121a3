"""The supervisor of an installation, with small programs in place of the real ones."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from controlplane.embedded import processes
from controlplane.embedded.cli import main
from controlplane.embedded.errors import AlreadyRunning, PortTaken
from controlplane.embedded.home import ROOT, Home, read_json, write_private
from controlplane.embedded.locks import FileLock
from controlplane.embedded.supervisor import Program, Supervisor, end_leftovers, programs

PARENT = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
stubborn = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
child = subprocess.Popen([sys.executable, "-c", stubborn])
print(child.pid, flush=True)
time.sleep(60)
"""
HOLDER = """
import sys, time
from pathlib import Path
from controlplane.embedded.locks import FileLock
lock = FileLock(Path(sys.argv[1]))
assert lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    made = Home(tmp_path.resolve())
    made.make()
    return made


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not happen in time"
        time.sleep(0.02)


def spawn(home: Home, code: str, name: str = "program") -> dict[str, float]:
    child = processes.spawn([sys.executable, "-c", code], log=home.log / f"{name}.log", env=os.environ, cwd=home.path)
    known = processes.identity(child.pid)
    assert known is not None
    return known


def wait_for_end(program: Program) -> None:
    assert program.child is not None
    program.child.wait()


def test_a_port_in_use_is_said_before_anything_starts(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} cannot be used"):
            Supervisor(home, port=port, output=io.StringIO()).run()
    assert not home.postgres.exists()
    assert not home.redis.exists()
    assert Supervisor(home)._lock.acquire()


def test_a_second_supervisor_of_a_home_says_where_the_first_one_is(home: Home) -> None:
    first = Supervisor(home, port=8765)
    first._lock_home()
    with pytest.raises(AlreadyRunning, match="http://localhost:8765"):
        Supervisor(home, port=8766).run()
    first._lock.release()


def test_a_port_that_is_no_number_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["up", "--port", "eighty"]) == 2
    assert "PORT must be a number" in capsys.readouterr().err


def test_a_program_that_keeps_ending_starts_again_with_growing_patience(home: Home) -> None:
    said = io.StringIO()
    supervisor = Supervisor(home, output=said)
    program = Program("short", [sys.executable, "-c", "raise SystemExit(3)"])
    supervisor.programs = [program]
    supervisor._launch(program)
    wait_for_end(program)
    supervisor._keep_running(program)
    assert "short ended with code 3; again in 1 s" in said.getvalue()
    supervisor._keep_running(program)
    assert not program.known, "it was started again before its time"
    program.again_at = 0
    supervisor._keep_running(program)
    wait_for_end(program)
    supervisor._keep_running(program)
    assert "again in 2 s" in said.getvalue()
    program.again_at = 0
    supervisor._keep_running(program)
    wait_for_end(program)
    program.started_at -= 3600  # a long life
    supervisor._keep_running(program)
    assert "again in 0 s" in said.getvalue()
    processes.end(program.known, ())


def test_a_program_that_ignores_its_signal_is_killed_with_its_children(home: Home) -> None:
    known = spawn(home, PARENT)
    log = home.log / "program.log"
    wait_for(log.read_text)
    grandchild = processes.identity(int(log.read_text()))
    assert grandchild is not None
    processes.end(known, [(signal.SIGTERM, 0.3)])
    assert not processes.is_alive(known)
    wait_for(lambda: not processes.is_alive(grandchild))


def test_what_a_killed_supervisor_left_is_ended_and_nothing_else(home: Home) -> None:
    left, innocent = spawn(home, "import time; time.sleep(60)"), spawn(home, "import time; time.sleep(60)")
    reused = innocent | {"created": innocent["created"] - 100}  # the number of a process that is long gone
    write_private(home.run / "supervisor.json", json.dumps({"children": {"web": left, "worker": reused}}))
    assert end_leftovers(home) == ["web"]
    assert not processes.is_alive(left)
    assert processes.is_alive(innocent)
    assert read_json(home.run / "supervisor.json") == {}
    processes.end(innocent, ())


def test_a_lock_is_free_when_its_holder_was_killed(home: Home) -> None:
    path = home.run / "a.lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, cwd=ROOT)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    mine = FileLock(path)
    assert not mine.acquire()
    holder.kill()
    holder.wait()
    holder.stdout.close()
    assert mine.acquire(timeout_s=5)
    mine.release()


def test_a_log_that_grew_is_cut_while_its_writer_goes_on(home: Home) -> None:
    log = home.log / "grown.log"
    with log.open("ab", buffering=0) as writer:
        writer.write(b"old\n" * 1000)
        processes.trim_log(log, keep_bytes=100)
        writer.write(b"new\n")
    assert log.read_bytes() == b"new\n"
    assert log.with_name("grown.log.1").read_bytes() == b"old\n" * 1000


def test_the_programs_are_stopped_with_the_web_server_last() -> None:
    assert [program.name for program in programs(8000)] == ["web", "worker", "lineage", "relay", "beat"]


def test_the_fold_of_lineage_has_a_worker_that_pipeline_steps_cannot_occupy() -> None:
    from lineage.tasks import QUEUE

    queues = {one.name: one.command[one.command.index("--queues") + 1] for one in programs(8000) if "--queues" in one.command}
    assert queues["lineage"].split(",") == [QUEUE]
    assert QUEUE not in queues["worker"].split(",")

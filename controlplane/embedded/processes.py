"""Starting, recognising and ending processes that outlive the one that started them."""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import psutil

LOG_KEEP_BYTES = 32 * 2**20
TICKS_S = 0.05

_children: dict[int, subprocess.Popen[bytes]] = {}


def spawn(
    command: Sequence[str],
    *,
    log: Path,
    env: Mapping[str, str],
    cwd: Path,
    account: Mapping[str, Any] | None = None,
    stdin: IO[bytes] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a session of its own, so that a Ctrl-C at the terminal reaches only the supervisor."""
    for pid in list(_children):
        _reap(pid)
    trim_log(log)
    # Only the owner reads logs: they may name people.
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        child = subprocess.Popen(
            list(command),
            stdin=stdin or subprocess.DEVNULL,
            stdout=handle,
            stderr=subprocess.STDOUT,
            env=dict(env),
            cwd=cwd,
            start_new_session=True,
            **(account or {}),
        )
        _children[child.pid] = child
        return child
    finally:
        os.close(handle)


@atexit.register
def _leave_children() -> None:
    """Servers that others still use outlive us by design: Python need not complain about them."""
    for child in _children.values():
        if child.poll() is None:
            child.returncode = 0


def trim_log(log: Path, *, keep_bytes: int = LOG_KEEP_BYTES) -> None:
    """Move a log that grew past ``keep_bytes`` aside (one old copy is kept).

    Copied and cut in place: the writer has it open for appending and goes on at the new end.
    """
    try:
        if log.stat().st_size <= keep_bytes:
            return
    except FileNotFoundError:
        return
    old = log.with_name(log.name + ".1")
    with log.open("rb") as source, os.fdopen(os.open(old, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as target:
        while chunk := source.read(2**20):
            target.write(chunk)
    os.truncate(log, 0)


def tail(log: Path, lines: int = 12) -> str:
    """The end of a log, for an error message."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 16384))
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])
    except OSError:
        return ""


def identity(pid: int) -> dict[str, float] | None:
    """What tells a process from a later one with the same number."""
    try:
        return {"pid": pid, "created": round(psutil.Process(pid).create_time(), 2)}
    except psutil.Error:
        return None


def is_alive(known: Mapping[str, Any]) -> bool:
    """Whether the process that ``identity`` described still runs (a zombie does not)."""
    try:
        process = psutil.Process(int(known["pid"]))
        return abs(process.create_time() - float(known["created"])) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, KeyError, TypeError, ValueError):
        return False


def wait_gone(known: Mapping[str, Any], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while is_alive(known):
        if time.monotonic() >= deadline:
            return False
        _reap(int(known["pid"]))
        time.sleep(TICKS_S)
    _reap(int(known["pid"]))
    return True


def _reap(pid: int) -> None:
    """A child of ours that ended stays a zombie until it is waited for."""
    child = _children.get(pid)
    if child is not None and child.poll() is not None:
        _children.pop(pid, None)


def group_members(session: int) -> list[psutil.Process]:
    """The processes of one session (children of a worker stay in the session of their parent)."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, ProcessLookupError, PermissionError):
            if os.getsid(process.pid) == session and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found


def end(known: Mapping[str, Any], signals: Iterable[tuple[signal.Signals, float]]) -> None:
    """Ask a process to end with each signal in turn, waiting so many seconds, then kill what is left of its session."""
    pid = int(known["pid"])
    for sign, patience_s in signals:
        if not is_alive(known):
            break
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sign)
        if wait_gone(known, patience_s):
            break
    # Its own children in the same session: gone already when it ended in order.
    if is_alive(known):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        wait_gone(known, 10)
    for process in group_members(pid):
        with contextlib.suppress(psutil.Error):
            process.kill()


def free_port(wanted: int | None = None) -> int:
    """``wanted`` when it is free on the loopback address, else any free port."""
    for port in (wanted, 0) if wanted else (0,):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("127.0.0.1", port))
            return int(probe.getsockname()[1])
    raise OSError("no free port on 127.0.0.1")

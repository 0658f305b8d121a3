"""``make demo ONCE=1`` on an installed tree: from the command to its exit."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.figures import Figure, median
from benchmarks.installation import ignored_interrupts
from benchmarks.progress import say
from benchmarks.settings import whole
from controlplane.embedded.home import ROOT
from controlplane.embedded.processes import free_port

SUMMARY = re.compile(r"([\d,]+) drops, ([\d,]+) rows landed.*?([\d.]+)\s+seconds", re.DOTALL)


def run() -> list[Figure]:
    seconds, inside, note = [], [], ""
    for number in range(1, whole("RUNS", 3) + 1):
        taken, printed = _once()
        seconds.append(taken)
        found = SUMMARY.search(printed)
        if found is None:
            raise RuntimeError(f"the demo printed no summary:\n{printed[-2000:]}")
        inside.append(float(found[3]))
        note = f"{found[1]} drops, {found[2]} rows, each run on an empty home"
        say(f"demo {number}: {taken:.1f} s")
    return [
        Figure("make demo ONCE=1, command to exit, median", median(seconds), "s", 90, runs=seconds, note=note),
        Figure("of it: world, pipeline and KPIs", median(inside), "s", runs=inside, note="as the demo's own summary says"),
    ]


def _once() -> tuple[float, str]:
    """Seconds and output of one demo on a home of its own."""
    home = Path(tempfile.mkdtemp(prefix="touchstone-bench-"))
    outside = {
        name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "REDIS_URL", "MAKEFLAGS", "ONLY")
    }
    environment = outside | {"TOUCHSTONE_HOME": str(home), "PORT": str(free_port()), "ONCE": "1"}
    started = time.monotonic()
    child = subprocess.Popen(
        ["make", "--no-print-directory", "demo"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        printed, _ = child.communicate()
        taken = time.monotonic() - started
        if child.returncode:
            raise RuntimeError(f"make demo ONCE=1 ended with code {child.returncode}:\n{printed[-3000:]}")
        return taken, printed
    except BaseException:
        os.killpg(child.pid, signal.SIGTERM)
        child.wait()
        raise
    finally:
        with ignored_interrupts():
            command = [sys.executable, "-m", "controlplane.embedded", "destroy", "--home", str(home), "--yes"]
            subprocess.run(command, cwd=ROOT, check=False, capture_output=True)
            shutil.rmtree(home, ignore_errors=True)

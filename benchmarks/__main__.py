"""``python -m benchmarks [NAME …]``: measure, print, judge.

The last line is the verdict; the exit code is 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from benchmarks.figures import Figure, lines

ROOT = Path(__file__).resolve().parents[1]
NAMES = (
    "demo_once",
    "kpi_refresh",
    "pipeline_overhead",
    "history",
    "serving",
    "lineage_ingest",
    "lineage_soak",
    "lineage_graph",
    "lineage_explorer",
    "provenance",
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure every performance figure against its target."
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all when left out")
    parser.add_argument("--only", metavar="NAME", help="the same as NAME")
    options = parser.parse_args(arguments)
    wanted = [*options.names, *(options.only.split(",") if options.only else [])] or list(NAMES)
    for name in wanted:
        if name not in NAMES:
            parser.error(f"there is no benchmark {name!r}: {', '.join(NAMES)}")
    signal.signal(signal.SIGTERM, interrupt)
    missed: list[str] = []
    judged = 0
    for name in wanted:
        figures = measure(name)
        if figures is None:
            judged += 1
            missed.append(f"{name} (broke off)")
            continue
        sys.stdout.write("\n".join(lines(name, figures)) + "\n\n")
        sys.stdout.flush()
        judged += sum(one.met is not None for one in figures)
        missed += [f"{name}: {one.title}" for one in figures if one.met is False]
    verdict = (
        f"FAIL: {len(missed)} of {judged} targets missed: {'; '.join(missed)}" if missed else f"PASS: all {judged} targets met"
    )
    sys.stdout.write(verdict + "\n")
    return 1 if missed else 0


def interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def measure(name: str) -> list[Figure] | None:
    """One benchmark in a process of its own; None when it broke off. Its complaint is on standard error."""
    sys.stderr.write(f"{name} …\n")
    with tempfile.TemporaryDirectory(prefix="touchstone-bench-result-") as folder:
        result = Path(folder) / "figures.json"
        child = subprocess.Popen([sys.executable, "-m", "benchmarks.child", name, str(result)], cwd=ROOT, env=os.environ)
        try:
            child.wait()
        except KeyboardInterrupt:
            # The child stops its services and deletes its home before it ends; from a terminal it was told as well.
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            child.send_signal(signal.SIGTERM)
            child.wait()
            raise SystemExit(130) from None
        if child.returncode or not result.exists():
            return None
        return [Figure(**one) for one in json.loads(result.read_text())]


if __name__ == "__main__":
    raise SystemExit(main())

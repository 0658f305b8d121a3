"""One benchmark in a process of its own: Django is set up once per process, and each benchmark has its own home."""

from __future__ import annotations

import importlib
import json
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def main() -> int:
    name, result = sys.argv[1:3]
    signal.signal(signal.SIGTERM, _interrupt)
    module, _, function = name.partition(":")
    parameters = json.loads(sys.argv[3]) if len(sys.argv) > 3 else {}
    try:
        found = getattr(importlib.import_module(f"benchmarks.{module}"), function or "run")(**parameters)
    except KeyboardInterrupt:
        return 130
    text = json.dumps(found if function else [one.as_dict() for one in found])
    Path(result).write_text(text)
    return 0


def elsewhere(name: str, **parameters: Any) -> Any:
    """The answer of ``module:function(**parameters)`` of this package, from another process. RuntimeError when it failed."""
    with tempfile.TemporaryDirectory(prefix="touchstone-bench-result-") as folder:
        result = Path(folder) / "answer.json"
        command = [sys.executable, "-m", "benchmarks.child", name, str(result), json.dumps(parameters)]
        child = subprocess.Popen(command, cwd=ROOT)
        try:
            child.wait()
        except BaseException:
            child.send_signal(signal.SIGTERM)
            child.wait()
            raise
        if child.returncode:
            raise RuntimeError(f"{name} failed with code {child.returncode}")
        return json.loads(result.read_text())


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    raise SystemExit(main())

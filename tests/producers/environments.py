"""A virtual environment for each producer: ``python -m tests.producers.environments [NAME …]``.

``requirements/NAME.lock`` (from ``NAME.in`` by ``make lock``) goes into ``var/producers/NAME``. Producers pin each other's
dependencies to versions that Touchstone's own environment does not have, so none shares it. What is installed already is kept;
what cannot be installed is told, and the tests that need it skip with that reason.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from controlplane.embedded.home import ROOT

REQUIREMENTS = Path(__file__).parent / "requirements"
FOLDER = ROOT / "var" / "producers"
PATIENCE_S = 600


def names() -> list[str]:
    return sorted(path.stem for path in REQUIREMENTS.glob("*.lock"))


def bin_folder(name: str) -> Path:
    return FOLDER / name / "bin"


def missing(name: str) -> str | None:
    """Why the environment of a producer cannot be used; None when it can."""
    if _stamp(name).is_file() and _stamp(name).read_text() == _wanted(name):
        return None
    failure = _failure(name)
    return failure.read_text() if failure.is_file() else f"`make e2e-producers` makes the environment of {name}"


def install(name: str) -> str | None:
    """Make the environment unless it is there; what stands in the way, if anything does."""
    if missing(name) is None:
        return None
    folder = FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    lock = str(REQUIREMENTS / f"{name}.lock")
    python = str(bin_folder(name) / "python")
    # uv does it in seconds. It reads no pip.conf: where the index is known to pip alone, pip does it in minutes.
    uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", python]
    pip = [
        sys.executable,
        "-m",
        "pip",
        "--quiet",
        "--python",
        python,
        "install",
        "--disable-pip-version-check",
        "--no-input",
        "--retries",
        "1",
    ]
    said = _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)])
    if said is None:
        locked = ["--require-hashes", "--no-deps", "-r", lock]
        said = _run([*uv, *locked]) and _run([*pip, *locked])
    if said is None:
        _stamp(name).write_text(_wanted(name))
        return None
    reason = f"the environment of {name} cannot be installed: {said}"
    _failure(name).write_text(reason)
    return reason


def _run(command: Sequence[str]) -> str | None:
    """None when the command succeeds; else the last thing that it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False)
    except subprocess.TimeoutExpired:
        return f"no end after {PATIENCE_S} s"
    return None if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]


def _stamp(name: str) -> Path:
    return FOLDER / name / "installed"


def _failure(name: str) -> Path:
    return FOLDER / name / "failed"


def _wanted(name: str) -> str:
    """The lock file and the interpreter: when either changes, the environment is made anew."""
    lock = (REQUIREMENTS / f"{name}.lock").read_bytes()
    return hashlib.sha256(lock + sys.version.encode()).hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names())}; all when left out")
    for name in parser.parse_args().names or names():
        start = time.monotonic()
        said = install(name)
        sys.stdout.write(f"{FOLDER / name}: {said or 'ready'} ({time.monotonic() - start:.1f} s)\n")


if __name__ == "__main__":
    main()

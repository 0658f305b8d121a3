"""Places where tests of crash safety end the process, as a power cut would.

Inert unless ``TOUCHSTONE_FAILPOINTS`` names places, separated by commas: ``step.before_commit`` or, for one dataset,
``step.before_commit:fact_order``; ``name@3`` is the third passage. ``!`` at the end ends the parent too (a worker with all its
children). Each place ends one process only, over all processes: which ones have done so stands as empty files in the folder
``TOUCHSTONE_FAILPOINTS_DIR``.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

VARIABLE = "TOUCHSTONE_FAILPOINTS"
FOLDER = "TOUCHSTONE_FAILPOINTS_DIR"

_wanted = tuple(one.strip() for one in os.environ.get(VARIABLE, "").split(",") if one.strip())
_passed: dict[str, int] = {}


def failpoint(name: str, key: str = "") -> None:
    """End the process here, without any clean-up, when the environment asks for it."""
    if _wanted:
        _check(name, key)


def _check(name: str, key: str) -> None:
    for wanted in _wanted:
        place, _, passage = wanted.rstrip("!").partition("@")
        if place not in (name, f"{name}:{key}"):
            continue
        _passed[wanted] = _passed.get(wanted, 0) + 1
        if _passed[wanted] >= int(passage or 1) and _first(wanted):
            if wanted.endswith("!"):
                os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)


def _first(wanted: str) -> bool:
    folder = Path(os.environ[FOLDER])
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / wanted.replace("/", "_")).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True

"""Lines that tell what a benchmark is doing, on standard error; standard output is for figures."""

from __future__ import annotations

import sys
import time

_began = time.monotonic()


def say(text: str) -> None:
    sys.stderr.write(f"  {time.monotonic() - _began:6.1f} s  {text}\n")
    sys.stderr.flush()

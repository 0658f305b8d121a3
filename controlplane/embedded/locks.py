"""Locks that the kernel drops when their holder dies, however it dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path


class FileLock:
    """``flock`` on a file. Not inherited by child processes, so a killed holder always frees it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._handle: int | None = None

    def acquire(self, *, shared: bool = False, timeout_s: float = 0) -> bool:
        """Take the lock, or convert the one held; False when another holds it for longer than ``timeout_s``."""
        if self._handle is None:
            self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                fcntl.flock(self._handle, mode)
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    # flock drops the old lock before it takes the new one: a failed conversion holds nothing.
                    self.release()
                    return False
                time.sleep(0.05)
            else:
                return True

    def write(self, text: str) -> None:
        """Leave a word about the holder in the lock file, for whoever finds it taken."""
        if self._handle is None:
            raise RuntimeError("The lock is not held.")
        os.ftruncate(self._handle, 0)
        os.pwrite(self._handle, text.encode(), 0)

    def read(self) -> str:
        try:
            return self.path.read_text().strip()
        except OSError:
            return ""

    def release(self) -> None:
        if self._handle is not None:
            with contextlib.suppress(OSError):
                os.close(self._handle)
            self._handle = None

    @property
    def held(self) -> bool:
        return self._handle is not None


@contextlib.contextmanager
def exclusive(path: Path, *, timeout_s: float) -> Iterator[FileLock]:
    """Hold a lock for a block; ``TimeoutError`` when it stays taken."""
    lock = FileLock(path)
    if not lock.acquire(timeout_s=timeout_s):
        raise TimeoutError(f"{path} is held by another process.")
    try:
        yield lock
    finally:
        lock.release()

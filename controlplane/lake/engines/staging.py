"""Where a cluster keeps what one session has materialised: ``<lake>/_staging/<session>/<n>``."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from controlplane.lake.store import open_store

from .base import LakeConfig

FOLDER = "_staging"


def uri(config: LakeConfig, session: str, number: int) -> str:
    return f"{config.root}/{FOLDER}/{session}/{number}"


def remove(config: LakeConfig, session: str) -> None:
    """Remove what a session staged; nothing happens when it staged nothing."""
    if config.is_local:
        shutil.rmtree(Path(config.root) / FOLDER / session, ignore_errors=True)
        return
    store = open_store(config.root)
    for key in list(store.list(f"{FOLDER}/{session}")):
        store.delete(key)


def remove_older(config: LakeConfig, age_s: float) -> int:
    """Remove what killed sessions left behind longer ago than ``age_s`` (local lakes); how many sessions."""
    folder = Path(config.root) / FOLDER
    if not config.is_local or not folder.is_dir():
        return 0
    old = [found for found in folder.iterdir() if found.stat().st_mtime < time.time() - age_s]
    for found in old:
        shutil.rmtree(found, ignore_errors=True)
    return len(old)

"""The landing folder: how files get from a sender that shares the disk into the check.

A file is taken by renaming it into the spool, so that a sender who puts the next file under the same name cannot lose it.
"""

from __future__ import annotations

import hashlib
import time
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from controlplane.outbox import services as outbox
from pipeline.errors import Fault
from pipeline.models import Drop, DropState
from pipeline.services import watermarks
from pipeline.services.landing import drop_refuse, drop_register, spool_path

CHECKED_AT_ONCE = 25  # drops per task: a task a drop would cost more than the check
SETTLED_S = 0.3  # a file still being written changes within this time; writers that rename into place lose no more than that
LOST_AFTER_S = 60
GONE = Fault("file", "its bytes went away before they were checked", "Send it again.")


def landing_scan() -> int:
    """Take every complete file under LANDING_DIR/<dataset>/ and have it checked. Returns how many.

    A writer renames its file into place, or writes names ending in ``.part``/``.tmp`` or starting with a dot until done.
    Files stay with their sender while a watermark is passed.
    """
    root = Path(settings.LANDING_DIR)
    found = [(folder.name, path) for folder in _folders(root) for path in sorted(folder.iterdir()) if _settled(path)]
    if not found or not watermarks.open_for(size_bytes=0):
        return 0
    for start in range(0, len(found), CHECKED_AT_ONCE):
        _take(found[start : start + CHECKED_AT_ONCE])
    return len(found)


def landing_pending() -> bool:
    """Whether a file lies in the landing folder, or a drop waits for its check."""
    lying = any(
        _is_done(path) and path.is_file() for folder in _folders(Path(settings.LANDING_DIR)) for path in folder.iterdir()
    )
    return lying or Drop.objects.filter(state=DropState.LANDED).exists()


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(".")) if root.is_dir() else []


def _is_done(path: Path) -> bool:
    """Whether the name says that its sender has finished with the file."""
    return not path.name.startswith(".") and path.suffix not in {".part", ".tmp"}


def _settled(path: Path) -> bool:
    if not _is_done(path):
        return False
    try:
        return path.is_file() and time.time() - path.stat().st_mtime >= SETTLED_S
    except FileNotFoundError:  # its sender took it back
        return False


@transaction.atomic
def _take(files: list[tuple[str, Path]]) -> None:
    """Rows first, then the renames, then the commit: whatever is cut off in between is found by the next scan or sweep."""
    drops = []
    for dataset, path in files:
        try:
            stat = path.stat()
        except FileNotFoundError:
            continue
        identity = hashlib.sha256(f"{dataset}/{stat.st_ino}:{stat.st_mtime_ns}:{stat.st_size}:{path.name}".encode()).hexdigest()
        spool = spool_path(dataset, identity=identity, filename=path.name)
        drops.append(_registered(dataset, path.name, spool, size_bytes=stat.st_size, identity=identity))
        spool.parent.mkdir(parents=True, exist_ok=True)
        path.rename(spool)
    _dispatch(drops)


def _registered(dataset: str, filename: str, spool: Path, *, size_bytes: int, identity: str) -> Drop:
    return drop_register(
        dataset=dataset,
        filename=filename,
        spool=spool,
        size_bytes=size_bytes,
        source="folder",
        received_by="",
        identity=identity,
    )


def _dispatch(drops: list[Drop], *, key: str | None = None) -> None:
    outbox.send_task(
        task="pipeline.tasks.check_drops", kwargs={"drop_ids": [drop.pk for drop in drops]}, queue="landing", key=key
    )


def drops_recheck() -> int:
    """Have drops checked whose check was lost with its process, and spooled files taken whose row was. Returns how many."""
    late = timezone.now() - timedelta(seconds=LOST_AFTER_S)
    slot = int(time.time() // LOST_AFTER_S)
    lost = list(Drop.objects.filter(state=DropState.LANDED, received_at__lt=late).order_by("pk")[:200])
    for drop in lost:
        if not Path(drop.spool_path).exists():
            drop_refuse(drop=drop, faults=[GONE])
            continue
        with transaction.atomic():
            _dispatch([drop], key=f"recheck:{drop.pk}:{slot}")
    return len(lost) + _adopt_orphans()


def _adopt_orphans() -> int:
    """Spooled files that no row knows: the process died between the rename and the commit."""
    spool = Path(settings.LANDING_DIR) / ".spool"
    old = [path for path in spool.glob("*/*") if time.time() - path.stat().st_ctime > LOST_AFTER_S] if spool.is_dir() else []
    identities = {path.name.split("_", 1)[0]: path for path in old}
    known = set(Drop.objects.filter(identity__in=identities).values_list("identity", flat=True))
    adopted = 0
    for identity, path in identities.items():
        if identity not in known:
            with transaction.atomic():
                filename = path.name.split("_", 1)[1]
                _dispatch([_registered(path.parent.name, filename, path, size_bytes=path.stat().st_size, identity=identity)])
            adopted += 1
    return adopted

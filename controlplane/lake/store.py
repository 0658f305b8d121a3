"""Objects (raw drops, manifests) by key, on a local folder or behind an object-store URL."""

from __future__ import annotations

import io
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol
from urllib.parse import quote

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import from_url

from .errors import ObjectNotFound, StoreError

CONNECT_TIMEOUT = timedelta(seconds=5)
REQUEST_TIMEOUT = timedelta(seconds=60)
RETRIES = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}


class ObjectStore(Protocol):
    """Keys are relative POSIX paths (``bronze/sales/2024/05/x.csv``). Every method raises StoreError with key and reason."""

    def put_once(self, key: str, data: bytes | Path) -> bool:
        """Write an object whole; False (and nothing written) when the key is taken. Durable when it returns."""
        ...

    def put_all(self, objects: Mapping[str, bytes]) -> None:
        """``put_once`` for each, in order; durable when it returns. When one fails, those before it may be there."""
        ...

    def get(self, key: str) -> bytes: ...

    def open(self, key: str) -> IO[bytes]: ...

    def exists(self, key: str) -> bool: ...

    def size(self, key: str) -> int: ...

    def list(self, prefix: str) -> Iterator[str]: ...

    def delete(self, key: str) -> None: ...

    def uri(self, key: str) -> str: ...


def open_store(root: str) -> ObjectStore:
    """The store under ``root``: a folder, or ``s3://…``, ``az://…``, ``abfss://…``, ``gs://…`` (credentials from the
    environment).
    """
    return RemoteStore(root) if "://" in root else LocalStore(Path(root))


def clean_key(key: str) -> str:
    """The key, if it stays inside the store; StoreError otherwise."""
    parts = PurePosixPath(key).parts
    if (
        not key
        or key.startswith("/")
        or key.endswith("/")
        or "\\" in key
        or "\0" in key
        or ".." in parts
        or str(PurePosixPath(key)) != key
    ):
        raise StoreError(f"{key!r} is not a key")
    return key


class LocalStore:
    """A folder. A name appears only when its bytes are on the disk, and two writers of one name cannot both win."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def _path(self, key: str) -> Path:
        return self.root / clean_key(key)

    def put_once(self, key: str, data: bytes | Path) -> bool:
        path = self._path(key)
        try:
            written = self._put(path, data)
            if written:
                _sync_folder(path.parent)
        except OSError as error:
            raise StoreError(f"{key}: cannot be written: {error.strerror}") from error
        return written

    def put_all(self, objects: Mapping[str, bytes]) -> None:
        folders: set[Path] = set()
        for key, data in objects.items():
            path = self._path(key)
            try:
                self._put(path, data)
            except OSError as error:
                raise StoreError(f"{key}: cannot be written: {error.strerror}") from error
            # Also where the name was taken: by a writer that may not have come to this yet.
            folders.add(path.parent)
        for folder in folders:
            try:
                _sync_folder(folder)
            except OSError as error:
                raise StoreError(f"{folder}: cannot be written: {error.strerror}") from error

    def _put(self, path: Path, data: bytes | Path) -> bool:
        """Give the bytes their name once they are on the disk; the name itself lasts after ``_sync_folder``."""
        if path.exists():
            return False
        temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.part")
        _make_folders(path.parent)
        try:
            with temporary.open("xb") as target:
                if isinstance(data, Path):
                    with data.open("rb") as source:
                        shutil.copyfileobj(source, target, 2**20)
                else:
                    target.write(data)
                target.flush()
                os.fsync(target.fileno())
            try:
                path.hardlink_to(temporary)  # fails when the name is taken: no window between test and write
            except FileExistsError:
                return False
            return True
        finally:
            temporary.unlink(missing_ok=True)

    def get(self, key: str) -> bytes:
        with self.open(key) as source:
            return source.read()

    def open(self, key: str) -> IO[bytes]:
        try:
            return self._path(key).open("rb")
        except (FileNotFoundError, IsADirectoryError) as error:
            raise ObjectNotFound(f"{key}: there is no such object") from error
        except OSError as error:
            raise StoreError(f"{key}: cannot be read: {error.strerror}") from error

    def exists(self, key: str) -> bool:
        return self._path(key).is_file()

    def size(self, key: str) -> int:
        try:
            return self._path(key).stat().st_size
        except FileNotFoundError as error:
            raise ObjectNotFound(f"{key}: there is no such object") from error

    def list(self, prefix: str) -> Iterator[str]:
        base = self.root / prefix.strip("/")
        for folder, folders, files in os.walk(base):
            folders.sort()
            for name in sorted(files):
                if not (name.startswith(".") and name.endswith(".part")):
                    yield (Path(folder) / name).relative_to(self.root).as_posix()

    def delete(self, key: str) -> None:
        path = self._path(key)
        try:
            path.unlink(missing_ok=True)
            if path.parent.exists():
                _sync_folder(path.parent)
        except OSError as error:
            raise StoreError(f"{key}: cannot be deleted: {error.strerror}") from error

    def uri(self, key: str) -> str:
        return str(self._path(key))


class RemoteStore:
    """An object store behind a URL, through obstore: bounded time, retries with back-off on throttling and network faults."""

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        options: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, "timeout": REQUEST_TIMEOUT}
        if root.startswith(("file:", "memory:")):
            self._store: Any = from_url(root)
        else:
            self._store = from_url(root, client_options=options, retry_config=RETRIES)  # type: ignore[call-overload]

    def put_once(self, key: str, data: bytes | Path) -> bool:
        try:
            # The store itself refuses a second writer (If-None-Match); one request, so a reader sees all or nothing.
            obstore.put(self._store, clean_key(key), data, mode="create", use_multipart=False)
        except AlreadyExistsError:
            return False
        except (BaseError, OSError) as error:
            raise _fault(key, error) from error
        return True

    def put_all(self, objects: Mapping[str, bytes]) -> None:
        for key, data in objects.items():
            self.put_once(key, data)

    def get(self, key: str) -> bytes:
        try:
            return bytes(obstore.get(self._store, clean_key(key)).bytes())
        except (BaseError, OSError) as error:
            raise _fault(key, error) from error

    def open(self, key: str) -> IO[bytes]:
        try:
            return io.BufferedReader(_Raw(obstore.open_reader(self._store, clean_key(key))), 2**20)
        except (BaseError, OSError) as error:
            raise _fault(key, error) from error

    def exists(self, key: str) -> bool:
        try:
            self.size(key)
        except ObjectNotFound:
            return False
        return True

    def size(self, key: str) -> int:
        try:
            return int(obstore.head(self._store, clean_key(key))["size"])
        except (BaseError, OSError) as error:
            raise _fault(key, error) from error

    def list(self, prefix: str) -> Iterator[str]:
        try:
            for batch in obstore.list(self._store, prefix.strip("/") or None):
                yield from (str(item["path"]) for item in batch)
        except (BaseError, OSError) as error:
            raise _fault(prefix, error) from error

    def delete(self, key: str) -> None:
        try:
            obstore.delete(self._store, clean_key(key))
        except FileNotFoundError:
            return
        except (BaseError, OSError) as error:
            raise _fault(key, error) from error

    def uri(self, key: str) -> str:
        return f"{self.root}/{quote(clean_key(key))}"


class _Raw(io.RawIOBase):
    """obstore's reader as a file of the standard library."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = bytes(self._source.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._source.seek(offset, whence))

    def tell(self) -> int:
        return int(self._source.tell())


def _fault(key: str, error: Exception) -> StoreError:
    if isinstance(error, FileNotFoundError):
        return ObjectNotFound(f"{key}: there is no such object")
    # obstore appends a dump of the request after the first line.
    return StoreError(f"{key}: {type(error).__name__}: {str(error).splitlines()[0]}")


def _make_folders(folder: Path) -> None:
    missing = [folder]
    while not missing[-1].exists():
        missing.append(missing[-1].parent)
    folder.mkdir(parents=True, exist_ok=True)
    for made in missing[1:]:
        _sync_folder(made)


def _sync_folder(folder: Path) -> None:
    """Make a new or removed name last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)

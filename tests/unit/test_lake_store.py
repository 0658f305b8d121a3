"""Object stores: write-once, whole or not at all, clear errors; the local one and obstore's."""
# ruff: noqa: E501 - a statement or a table of values is read on one line

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from controlplane.lake import store as stores
from controlplane.lake.errors import ObjectNotFound, StoreError
from controlplane.lake.store import LocalStore, ObjectStore, RemoteStore, open_store


@pytest.fixture(params=["local", "remote"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ObjectStore:
    if request.param == "local":
        return LocalStore(tmp_path / "objects")
    (tmp_path / "objects").mkdir()
    return RemoteStore(f"file://{tmp_path}/objects")


def test_an_object_is_written_once(store: ObjectStore) -> None:
    assert store.put_once("bronze/sales/2024/05/x.csv", b"one")
    assert not store.put_once("bronze/sales/2024/05/x.csv", b"two")
    assert store.get("bronze/sales/2024/05/x.csv") == b"one"
    assert store.size("bronze/sales/2024/05/x.csv") == 3
    with store.open("bronze/sales/2024/05/x.csv") as source:
        assert source.read(2) == b"on"
        assert source.seek(0) == 0
        assert list(source) == [b"one"]


def test_of_many_objects_those_that_are_there_stay(store: ObjectStore) -> None:
    store.put_once("a/1", b"first")
    store.put_all({"a/1": b"second", "a/2": b"two", "b/c/3": b"three"})
    assert [store.get(key) for key in ("a/1", "a/2", "b/c/3")] == [b"first", b"two", b"three"]
    assert sorted(store.list("")) == ["a/1", "a/2", "b/c/3"]


def test_a_file_can_be_put(store: ObjectStore, tmp_path: Path) -> None:
    source = tmp_path / "drop.bin"
    source.write_bytes(os.urandom(3_000_000))
    assert store.put_once("a/b.bin", source)
    assert store.get("a/b.bin") == source.read_bytes()


def test_keys_are_listed_in_a_folder_and_below(store: ObjectStore) -> None:
    for key in ("b/2.csv", "b/1.csv", "b/c/3.csv", "other/4.csv"):
        store.put_once(key, b"x")
    assert sorted(store.list("b")) == ["b/1.csv", "b/2.csv", "b/c/3.csv"]
    assert sorted(store.list("")) == ["b/1.csv", "b/2.csv", "b/c/3.csv", "other/4.csv"]
    assert list(store.list("none")) == []


def test_deleting_is_idempotent(store: ObjectStore) -> None:
    store.put_once("a.txt", b"x")
    assert store.exists("a.txt")
    store.delete("a.txt")
    store.delete("a.txt")
    assert not store.exists("a.txt")
    assert store.put_once("a.txt", b"again")


def test_what_is_missing_is_said_by_key(store: ObjectStore) -> None:
    for call in (store.get, store.open, store.size):
        with pytest.raises(ObjectNotFound, match=r"a/nope\.txt"):
            call("a/nope.txt")


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a//b", "a/", "a\\b", "a\0b", "./a"])
def test_a_key_stays_in_the_store(store: ObjectStore, key: str) -> None:
    with pytest.raises(StoreError, match="is not a key"):
        store.put_once(key, b"x")


@pytest.mark.parametrize("key", ["a b/é€.csv", "it's.csv", "x=1/y&z.csv", "a%20b.csv"])
def test_unusual_names_work(store: ObjectStore, key: str) -> None:
    assert store.put_once(key, b"x")
    assert store.get(key) == b"x"
    assert list(store.list("")) == [key]


def test_of_many_writers_of_one_key_one_wins(store: ObjectStore) -> None:
    start, won = threading.Barrier(8), []

    def write(number: int) -> None:
        start.wait()
        if store.put_once("contested.bin", bytes([number]) * 100_000):
            won.append(number)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert store.get("contested.bin") == bytes(won) * 100_000


def test_a_write_that_breaks_off_leaves_no_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = LocalStore(tmp_path)

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"a/x\.csv: cannot be written: No space left on device"):
        store.put_once("a/x.csv", b"half")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_half_written_file_of_a_killed_writer_is_no_object(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put_once("a/x.csv", b"x")
    (tmp_path / "a" / ".y.csv.0123456789abcdef.part").write_bytes(b"half")
    assert list(store.list("a")) == ["a/x.csv"]


def test_a_url_opens_the_remote_store_and_a_folder_the_local_one(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path)), LocalStore)
    assert isinstance(open_store("memory:///"), RemoteStore)
    assert open_store("s3://bucket/lake").uri("bronze/a b.csv") == "s3://bucket/lake/bronze/a%20b.csv"


def test_an_unreachable_store_is_an_error_in_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    for name, value in {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_ALLOW_HTTP": "true", "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_REGION": "eu-west-3",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(stores, "RETRIES", {"max_retries": 1, "retry_timeout": timedelta(seconds=2)})
    with pytest.raises(StoreError, match="x: "):
        open_store("s3://bucket/lake").get("x")

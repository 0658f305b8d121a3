"""The audit log in the database: it only grows, and whoever gets around that is found."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from controlplane.audit import checkpoints, selectors, services
from controlplane.audit.errors import BadCheckpoint, NotInTransaction
from controlplane.audit.models import AuditEntry, AuditPayload
from controlplane.audit.sealing import seal_pending

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, settings: Any) -> Path:
    settings.HOME = tmp_path
    return tmp_path


def record(n: int = 1) -> AuditEntry:
    with transaction.atomic():
        return services.record(action="test.change", actor="system:test", target=f"x:{n}", payload={"n": n}, reason="because")


def tamper(sql: str) -> None:
    """What a superuser can do."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(sql)


def test_recording_outside_a_transaction_is_refused() -> None:
    with pytest.raises(NotInTransaction):
        services.record(action="a.b", actor=None, target="x")


def test_an_entry_goes_with_the_change_it_describes() -> None:
    with transaction.atomic():
        services.record(action="a.b", actor=None, target="x")
        transaction.set_rollback(True)
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE audit_auditentry SET action = 'x'",
        "UPDATE audit_auditentry SET seq = 99, hash = 'x', sealed_at = now()",
        "DELETE FROM audit_auditpayload",
        "DELETE FROM audit_auditentry",
        "TRUNCATE audit_auditentry CASCADE",
        "TRUNCATE audit_auditpayload",
        "UPDATE audit_auditpayload SET document = 'x'",
    ],
)
def test_the_database_refuses_to_change_or_delete(sql: str) -> None:
    record()
    seal_pending()
    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql)
    assert selectors.verify().intact


def test_an_entry_that_waits_for_its_seal_cannot_be_changed_while_sealed() -> None:
    record()
    with pytest.raises(DatabaseError, match="only grows"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("UPDATE audit_auditentry SET seq = 1, hash = 'x', sealed_at = now(), action = 'other'")


def test_sealing_chains_everything_and_verify_reports_the_tail() -> None:
    for n in range(5):
        record(n)
    assert seal_pending(batch=2) == 5
    record(6)
    found = selectors.verify()
    assert found.intact
    assert (found.chain.checked, found.tail.entries) == (5, 1)


def test_sealers_and_writers_at_once_leave_one_chain_without_gaps() -> None:
    def write() -> None:
        for n in range(25):
            record(n)
        connection.close()

    def seal() -> None:
        for _ in range(25):
            seal_pending(batch=3)
        connection.close()

    threads = [threading.Thread(target=run) for run in (write, write, seal, seal)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seal_pending()
    found = selectors.verify()
    assert found.intact
    assert found.chain.head_seq == 50


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("UPDATE audit_auditentry SET actor = 'user:other' WHERE seq = 3", "entry 3 (id %(id)s) is broken: its content"),
        ("UPDATE audit_auditpayload SET document = '{}' WHERE entry_id = %(id)s", "entry 3 (id %(id)s) is broken: its payload"),
        ("DELETE FROM audit_auditentry WHERE seq = 2", "entry 3 (id %(id)s) is broken: entry 2 is missing"),
        (
            "UPDATE audit_auditpayload SET salt = NULL, document = NULL, erased_at = now() WHERE entry_id = %(id)s",
            "without a record",
        ),
    ],
)
def test_a_superuser_who_tampers_is_found_and_the_entry_named(sql: str, reason: str) -> None:
    entries = [record(n) for n in range(5)]
    seal_pending()
    names = {"id": entries[2].pk}
    tamper(sql % names)
    with pytest.raises(CommandError) as fault:
        call_command("audit", "verify")
    assert reason % names in str(fault.value)


def test_a_payload_can_be_erased_and_the_chain_stays_whole() -> None:
    entry = record()
    seal_pending()
    assert services.payload_erase(entry_id=entry.pk, actor="system:test", reason="erasure 7")
    assert not services.payload_erase(entry_id=entry.pk, actor="system:test", reason="again")
    seal_pending()
    found = selectors.verify()
    assert found.intact
    assert found.chain.erased == [entry.pk]
    assert AuditPayload.objects.get(entry=entry).document is None


def test_a_chain_that_is_cut_or_rewritten_as_a_whole_is_found_by_its_checkpoint(own_home: Path) -> None:
    for n in range(4):
        record(n)
    seal_pending()
    path = checkpoints.write()
    assert path is not None
    assert checkpoints.write() is None  # nothing new
    assert selectors.verify(checkpoints=[checkpoints.read(path)]).intact
    tamper("DELETE FROM audit_auditentry WHERE seq = 4")
    assert selectors.verify().intact  # the cut cannot be seen from inside
    with pytest.raises(CommandError, match="the chain ends at 3, but the checkpoint"):
        call_command("audit", "verify", "--checkpoint", str(path))
    tamper("UPDATE audit_auditentry SET seq = NULL, hash = '', previous_hash = '', sealed_at = NULL")
    record(9)
    seal_pending()
    with pytest.raises(CommandError, match="entry 4 differs from its checkpoint"):
        call_command("audit", "verify")


def test_a_forged_checkpoint_is_refused(own_home: Path) -> None:
    record()
    seal_pending()
    path = checkpoints.write()
    assert path is not None
    body = json.loads(path.read_text())
    body["checkpoint"]["hash"] = "0" * 64
    forged = own_home / "forged.json"
    forged.write_text(json.dumps(body))
    with pytest.raises(BadCheckpoint, match="does not hold"):
        checkpoints.read(forged)


def test_an_export_verifies_without_the_database(own_home: Path, django_assert_num_queries: Any) -> None:
    for n in range(3):
        record(n)
    seal_pending()
    export = own_home / "export.jsonl"
    call_command("audit", "export", "--output", str(export))
    with django_assert_num_queries(0):
        call_command("audit", "verify", "--export", str(export))
    export.write_text(export.read_text().replace("x:1", "x:9"))
    with pytest.raises(CommandError, match="entry 2"):
        call_command("audit", "verify", "--export", str(export))

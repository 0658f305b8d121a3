"""``manage.py contract``: what it prints and how it exits."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from catalog import selectors
from catalog.models import ContractVersion

pytestmark = pytest.mark.django_db
DATA = Path(__file__).parents[1] / "data"


@pytest.fixture
def folder(tmp_path):
    for name in ("orders", "customers"):
        (tmp_path / f"{name}.odcs.yaml").write_text((DATA / f"catalog_{name}.odcs.yaml").read_text())
    return tmp_path


def run(*args: object) -> str:
    out = StringIO()
    call_command("contract", *map(str, args), stdout=out, stderr=out)
    return out.getvalue()


def edit(path: Path, *pairs: tuple[str, str]) -> None:
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


def test_check_finds_no_fault_in_a_good_folder_and_imports_nothing(folder):
    assert "2 contracts checked, no faults." in run("check", folder)
    assert not ContractVersion.objects.exists()


def test_check_exits_1_and_names_every_fault_of_every_file(folder):
    edit(folder / "orders.odcs.yaml", ("domain: sales", "domain: 7"), ("customers.customer_id", "clients.customer_id"))
    (folder / "third.odcs.yaml").write_text("\tx: 1")
    out = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("contract", "check", str(folder), stderr=out)
    assert caught.value.returncode == 1
    assert "orders.odcs.yaml:8:9: 7 is an integer, expected string" in out.getvalue()
    assert "third.odcs.yaml:1:1: not valid YAML" in out.getvalue()


def test_check_notices_a_reference_that_leads_nowhere(folder):
    edit(folder / "orders.odcs.yaml", ("customers.customer_id", "clients.customer_id"))
    with pytest.raises(CommandError, match="1 fault found"):
        run("check", folder)


def test_sync_then_export_gives_the_authors_text(folder, tmp_path):
    assert "2 files: 2 imported, 0 unchanged, 0 behind, 0 refused." in run("sync", folder)
    assert run("export", "orders") == (folder / "orders.odcs.yaml").read_text()
    assert "2 contracts written" in run("export", "--all", tmp_path / "out")
    assert (tmp_path / "out" / "customers.odcs.yaml").read_text() == (folder / "customers.odcs.yaml").read_text()
    assert "2 unchanged" in run("sync", folder)


def test_a_dry_run_says_what_would_change_and_imports_nothing(folder):
    run("sync", folder)
    edit(folder / "orders.odcs.yaml", ("version: 1.0.0", "version: 1.1.0"), ("value: 15", "value: 20"))
    told = run("import", folder / "orders.odcs.yaml", "--dry-run")
    assert "orders 1.1.0: would be imported" in told
    assert "compatible: SLA freshness_s: 900 → 1200" in told
    assert selectors.contract_current("orders").version == "1.0.0"
    run("import", folder / "orders.odcs.yaml")
    assert selectors.contract_current("orders").version == "1.1.0"
    assert "compatible: SLA freshness_s: 900 → 1200" in run("diff", "orders", "1.0.0", "1.1.0")


def test_a_stale_base_exits_1_with_the_difference(folder):
    run("sync", folder)
    edit(folder / "orders.odcs.yaml", ("version: 1.0.0", "version: 1.1.0"), ("value: 15", "value: 20"))
    run("import", folder / "orders.odcs.yaml")
    edit(folder / "orders.odcs.yaml", ("version: 1.1.0", "version: 1.2.0"), ("value: 20", "value: 25"))
    with pytest.raises(CommandError, match=r"but 1\.1\.0 is current") as caught:
        run("import", folder / "orders.odcs.yaml", "--base", "1.0.0")
    assert caught.value.returncode == 1
    assert "+  - {property: freshness, value: 25, unit: min}" in str(caught.value)


def test_an_unknown_dataset_or_file_is_wrong_use(folder):
    for arguments in (("export", "nothing"), ("check", folder / "none.yaml"), ("diff", "orders", "9.9.9"), ("export",)):
        with pytest.raises(CommandError) as caught:
            run(*arguments)
        assert caught.value.returncode == 2

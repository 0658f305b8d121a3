"""The documents say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from controlplane.settings.env import Env, variable_name

ROOT = Path(__file__).resolve().parents[2]


def test_every_setting_is_documented_with_its_default() -> None:
    text = (ROOT / "docs" / "settings.md").read_text()
    for name, field in Env.model_fields.items():
        default = ", ".join(field.default) if isinstance(field.default, list) else field.default
        shown = "" if default is None else f"`{default}`"
        assert f"| `{variable_name(name)}` | {shown} | {field.description} |" in text


def test_links_between_documents_lead_somewhere() -> None:
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
            if not target.startswith(("http", "mailto")):
                assert (document.parent / target).exists(), f"{document.name} → {target}"

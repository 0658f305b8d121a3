"""Every place that holds data of persons is known."""

from __future__ import annotations

import pytest
from django.apps import apps

from controlplane.subjects import registry
from controlplane.subjects.protocol import SubjectHolding, SubjectIdentifiers


def test_every_app_with_models_is_registered_or_exempt_with_a_reason() -> None:
    with_models = {model._meta.app_label for model in apps.get_models(include_auto_created=True)}
    known = {holding.name.split(".", 1)[0] for holding in registry.holdings()} | set(registry.exemptions())
    assert with_models - known == set(), "register holdings, or exempt the app with a reason, in its AppConfig.ready"


def test_holdings_say_what_they_hold_and_why() -> None:
    for holding in registry.holdings():
        assert isinstance(holding, SubjectHolding)
        assert holding.description
        assert holding.describe()


def test_a_name_has_one_owner_and_an_exemption_needs_a_reason() -> None:
    class Other:
        name = "accounts.users"

    with pytest.raises(ValueError, match="registered twice"):
        registry.register(Other())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="reason"):
        registry.exempt("x", reason="no")


def test_identifiers_that_were_not_given_are_empty() -> None:
    assert SubjectIdentifiers({"email": ("a",)}).of("phone") == ()

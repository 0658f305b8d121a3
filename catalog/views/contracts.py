"""Contract versions: text, difference to the one before, and an owner's edits."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from catalog import selectors, services
from catalog.domain import values
from catalog.domain.contract import Contract
from catalog.domain.edit import Edit, links_of
from catalog.domain.versions import text_diff
from catalog.errors import ContractInvalid, EditRefused, StaleBase, VersionRefused
from catalog.models import ContractVersion, Dataset
from catalog.views.forms import LinksField, editor_of
from controlplane.accounts.roles import Role
from controlplane.ui.pages import EVERY_ROLE, page, render_page

_UNITS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def duration_text(seconds: int | None) -> str:
    """900 → ``15 min``: what a person types back."""
    if not seconds:
        return ""
    size, unit = next((size, unit) for size, unit in _UNITS if seconds % size == 0)
    return f"{seconds // size} {unit}"


class DurationField(forms.CharField):
    """``15 min`` → (15, "min"); empty → None, which takes the promise back."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(required=False, max_length=30, **kwargs)

    def clean(self, value: Any) -> tuple[int, str] | None:
        text = super().clean(value).strip()
        if not text:
            return None
        try:
            number, unit = duration_text(values.seconds(text)).split(" ")
        except values.Unreadable as error:
            raise forms.ValidationError(str(error)) from None
        return int(number), unit


class ContractForm(forms.Form):
    """``base`` is the version that the person has seen: an edit of an older one is refused, not merged."""

    base = forms.CharField(widget=forms.HiddenInput)
    purpose = forms.CharField(
        required=False, widget=forms.Textarea(attrs={"rows": 4}), help_text="What one row is, and what for."
    )
    usage = forms.CharField(required=False, widget=forms.Textarea(attrs={"rows": 3}), help_text="How to use it, what to mind.")
    freshness = DurationField(help_text="Maximum age of the data, for example 15 min. Empty: no promise.")
    latency = DurationField(help_text="From the source's event to here, for example 5 min.")
    retention = DurationField(help_text="How long rows are kept, in days: 90 d.")
    links = LinksField(label="Documentation")


def _version(dataset: str, version: str) -> ContractVersion:
    found = selectors.contract_version(dataset, version)
    if found is None:
        raise Http404(f"no version {version} of the contract of {dataset}")
    return found


@page(*EVERY_ROLE)
def contract(request: HttpRequest, dataset: str, version: str) -> HttpResponseBase:
    found = _version(dataset, version)
    base = found.base
    diff = ""
    if base is not None:
        diff = text_diff(base.text, found.text, old_name=f"{dataset} {base.version}", new_name=f"{dataset} {found.version}")
    name = found.dataset.contract_name or dataset
    crumbs = [("Datasets", reverse("datasets")), (name, found.dataset.get_absolute_url())]
    context = {
        "version": found,
        "current": found.dataset.current_version_id == found.pk,
        "dataset": found.dataset,
        "diff": diff,
        "diff_lines": diff_lines(diff),
    }
    return render_page(request, "catalog/contract.html", context, title=f"Contract {found.version} of {name}", crumbs=crumbs)


def diff_lines(diff: str) -> list[tuple[str, str]]:
    """(kind, line) of a unified diff; kind is added, removed or same. The sign stays in the line: colour alone says nothing."""
    kinds = {"+": "added", "-": "removed"}
    return [("same" if line.startswith(("+++", "---")) else kinds.get(line[:1], "same"), line) for line in diff.splitlines()]


def _start(found: Contract) -> dict[str, Any]:
    description = found.document.get("description") or {}
    retention = found.sla.retention_days
    return {
        "base": found.version,
        "purpose": description.get("purpose", ""),
        "usage": description.get("usage", ""),
        "freshness": duration_text(found.sla.freshness_s),
        "latency": duration_text(found.sla.latency_s),
        "retention": f"{retention} d" if retention else "",
        "links": LinksField.text({"title": title, "url": url} for title, url in links_of(found.document)),
    }


def _edit(data: dict[str, Any]) -> Edit:
    return Edit(
        purpose=data["purpose"],
        usage=data["usage"],
        links=tuple((link["title"], link["url"]) for link in data["links"]),
        sla={name: data[name] for name in ("freshness", "latency", "retention")},
    )


@page(Role.OWNER, Role.STEWARD, methods=("GET", "HEAD", "POST"))
def contract_edit(request: HttpRequest, dataset: str) -> HttpResponseBase:
    try:
        current = selectors.contract_version_current(dataset)
    except Dataset.DoesNotExist:
        raise Http404(f"no contract of {dataset}") from None
    product = current.dataset.product
    actor = editor_of(request, product)
    form = ContractForm(request.POST or None, initial=_start(selectors.contract_of(current)))
    status, diff = 200, ""
    if request.method == "POST":
        status = 400
        if form.is_valid():
            try:
                done = services.contract_edit(
                    dataset=dataset, base_version=form.cleaned_data["base"], edit=_edit(form.cleaned_data), actor=actor
                )
            except EditRefused as error:
                raise PermissionDenied(str(error)) from None
            except StaleBase as error:
                status, diff = 409, error.diff
                form.add_error(None, f"Somebody imported version {error.current} while you were editing. Nothing was saved.")
            except ContractInvalid as error:
                for line in error.lines():
                    form.add_error(None, line)
            except VersionRefused as error:
                form.add_error(None, str(error))
            else:
                number = done.version.version if done.version else ""
                messages.success(request, f"Version {number} is current." if done.created else "Nothing has changed.")
                return redirect(current.dataset.get_absolute_url())
    context = {
        "edit": form,
        "back": current.dataset.get_absolute_url(),
        "diff_lines": diff_lines(diff),
        "lead": "Saving makes a new version of the contract; the one before stays readable.",
    }
    crumbs = [("Datasets", reverse("datasets")), (dataset, current.dataset.get_absolute_url())]
    return render_page(request, "catalog/edit.html", context, title="Edit the contract", crumbs=crumbs, status=status)

"""Drops: what came in, why it was refused, and sending one from the browser."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse

from controlplane.accounts.roles import Role
from controlplane.ui.pages import EVERY_ROLE, page, render_page
from pipeline import selectors, selectors_held
from pipeline.errors import Overloaded
from pipeline.lists import DROPS
from pipeline.models import Drop, DropState
from pipeline.services import landing

UPLOAD_ROLES = (Role.PRODUCER, Role.STEWARD)
UPLOAD_MAX_BYTES = 256 * 2**20


class DropForm(forms.Form):
    """One file for one dataset."""

    dataset = forms.ChoiceField()
    file = forms.FileField(allow_empty_file=True)

    def __init__(self, *args: Any, datasets: list[str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["dataset"].choices = [(name, name) for name in datasets]  # type: ignore[attr-defined]

    def clean_file(self) -> Any:
        file = self.cleaned_data["file"]
        if file.size > UPLOAD_MAX_BYTES:
            raise forms.ValidationError("The file is larger than 256 MiB. Put it into the landing folder, or send it in parts.")
        return file


@page(*EVERY_ROLE)
def drops(request: HttpRequest) -> HttpResponseBase:
    rows = Drop.objects.all()
    if request.GET.get("format") == "csv":
        return DROPS.csv(request, rows, "drops")
    return render_page(
        request,
        "pipeline/drops.html",
        {"listed": DROPS.read(request, rows), "noun": "drops", "empty_template": "pipeline/drops_empty.html"},
        title="Drops",
    )


@page(*EVERY_ROLE)
def drop(request: HttpRequest, uuid: UUID) -> HttpResponseBase:
    found = Drop.objects.select_related("bronze_file").filter(uuid=uuid).first()
    if found is None:
        raise Http404("no such drop")
    steps = list(found.bronze_file.steps.select_related("run").order_by("-id")[:20]) if found.bronze_file else []
    return render_page(
        request,
        "pipeline/drop.html",
        {
            "drop": found,
            "file": found.bronze_file,
            "steps": steps,
            "held": selectors_held.held_by_file(found.bronze_file) if found.bronze_file else None,
            "refused": found.state == DropState.REFUSED,
        },
        title=found.filename,
        crumbs=[("Drops", reverse("drops"))],
    )


@page(*UPLOAD_ROLES, methods=("GET", "HEAD", "POST"))
def drop_upload(request: HttpRequest) -> HttpResponseBase:
    datasets = selectors.dataset_names(layer="silver")
    form = DropForm(request.POST or None, request.FILES or None, datasets=datasets)
    overloaded = ""
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        try:
            taken = landing.drop_receive(
                dataset=form.cleaned_data["dataset"],
                filename=file.name,
                content=file.read(),
                source="browser",
                received_by=request.user.get_username(),
            )
        except Overloaded as refusal:
            overloaded = str(refusal)
        else:
            _say(request, taken)
            return redirect("drop", uuid=taken.uuid)
    return render_page(
        request,
        "pipeline/drop_upload.html",
        {"upload": form, "overloaded": overloaded, "chosen": request.GET.get("dataset", "")},
        title="Upload a drop",
        crumbs=[("Drops", reverse("drops"))],
        status=400 if form.errors else 503 if overloaded else 200,
    )


def _say(request: HttpRequest, taken: Drop) -> None:
    if taken.state == DropState.ACCEPTED:
        messages.success(request, f"{taken.filename} is accepted: {taken.rows} rows. The next run takes it in.")
    elif taken.state == DropState.DUPLICATE:
        messages.info(request, f"{taken.filename} holds the same bytes as a drop taken in before; nothing is loaded twice.")
    else:
        messages.warning(request, f"{taken.filename} is refused. The reasons stand below; the bytes are kept.")

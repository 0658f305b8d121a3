"""What the catalog's forms share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from catalog import selectors
from catalog.models import DataProduct
from controlplane.accounts.principals import User


class LinksField(forms.CharField):
    """One link a line: an address, then its title. Cleans to [{"title", "url"}]."""

    def __init__(self, **kwargs: Any) -> None:
        help_text = "One link a line: the address, a space, then its title."
        super().__init__(required=False, widget=forms.Textarea(attrs={"rows": 3}), help_text=help_text, **kwargs)

    def clean(self, value: Any) -> list[dict[str, str]]:
        links = []
        for number, line in enumerate(str(super().clean(value) or "").splitlines(), start=1):
            if not line.strip():
                continue
            url, _, title = line.strip().partition(" ")
            parts = urlsplit(url)
            if parts.scheme not in {"http", "https"} or not parts.netloc:
                raise forms.ValidationError(f"Line {number}: {url} is not a web address (http:// or https://).")
            links.append({"title": title.strip() or parts.netloc, "url": url})
        return links

    @staticmethod
    def text(links: Iterable[Mapping[str, str]]) -> str:
        return "\n".join(f"{link['url']} {link['title']}" for link in links)


def editor_of(request: HttpRequest, product: DataProduct | None) -> User:
    """The person who sent the request; raises PermissionDenied (403) when that person may not edit the product."""
    user = request.user
    if product is None or not isinstance(user, User) or not selectors.product_editable_by(product, user):
        owner = product.owner_text if product else "nobody"
        raise PermissionDenied(f"Only its owner ({owner}), its steward and administrators edit this.")
    return user

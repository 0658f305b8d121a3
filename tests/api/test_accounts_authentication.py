"""API keys and roles at REST endpoints and views."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from django.views import View
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory, force_authenticate
from rest_framework.views import APIView

from controlplane.accounts import services
from controlplane.accounts.models import User
from controlplane.accounts.permissions import HasRole, RequireRoleMixin, apikey_allows, require_role
from controlplane.accounts.principals import actor_of

pytestmark = pytest.mark.django_db


class Drops(APIView):
    permission_classes = [HasRole("producer", "owner")]

    def get(self, request: Request) -> Response:
        return Response({"actor": str(actor_of(request))})

    post = get


class Forgotten(APIView):
    def get(self, request: Request) -> Response:
        return Response({})


def person(name: str, *roles: str) -> User:
    return services.user_create(username=name, password=None, roles=roles, actor="system:test")


def call(view: Any, method: str = "get", *, key: str | None = None, user: User | None = None) -> Response:
    headers = {"authorization": f"Bearer {key}"} if key else {}
    request = getattr(APIRequestFactory(), method)("/", headers=headers)
    if user:
        force_authenticate(request, user)
    answer: Response = view.as_view()(request)
    return answer


def test_owner_passes_teammate_without_the_role_and_outsider_do_not() -> None:
    assert call(Drops, user=person("owner", "owner")).status_code == 200
    assert call(Drops, user=person("teammate", "oncall")).status_code == 403
    assert call(Drops).status_code == 401


def test_an_auditor_may_get_and_not_post() -> None:
    auditor = person("auditor", "auditor")
    assert call(Drops, user=auditor).status_code == 200
    assert call(Drops, "post", user=auditor).status_code == 403


def test_an_endpoint_that_states_no_roles_is_closed_even_to_administrators() -> None:
    assert call(Forgotten, user=person("root", "admin")).status_code == 403


def test_a_key_passes_by_its_role_and_speaks_for_its_namespaces() -> None:
    key, secret = services.apikey_create(name="crm", role="producer", namespaces=["shop-*"], actor="system:test")
    answer = call(Drops, "post", key=secret)
    assert (answer.status_code, answer.data) == (200, {"actor": "crm"})
    assert apikey_allows(key, "shop-fr")
    assert not apikey_allows(key, "bank")
    _, other = services.apikey_create(name="dpo", role="dpo", namespaces=["*"], actor="system:test")
    assert call(Drops, key=other).status_code == 403


def test_a_wrong_or_revoked_key_is_401_with_one_wording() -> None:
    _, secret = services.apikey_create(name="crm", role="producer", namespaces=["*"], actor="system:test")
    services.apikey_revoke(name="crm", actor="system:test")
    revoked, wrong = call(Drops, key=secret), call(Drops, key="ts_000000000000_x")
    assert revoked.status_code == wrong.status_code == 401
    assert revoked.data == wrong.data
    assert revoked["WWW-Authenticate"] == "Bearer"


def request_of(user: User | AnonymousUser) -> HttpRequest:
    request = RequestFactory().get("/page")
    request.user = user
    return request


def test_a_view_sends_strangers_to_the_sign_in_and_refuses_the_wrong_role() -> None:
    @require_role("dpo")
    def page(request: HttpRequest) -> HttpResponse:
        return HttpResponse("ok")

    assert page(request_of(AnonymousUser())).status_code == 302
    assert page(request_of(person("dpo", "dpo"))).status_code == 200
    with pytest.raises(PermissionDenied):
        page(request_of(person("owner", "owner")))


def test_a_class_based_view_that_forgot_its_roles_is_closed() -> None:
    class Page(RequireRoleMixin, View):
        def get(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse("ok")

    with pytest.raises(PermissionDenied):
        Page.as_view()(request_of(person("auditor", "auditor")))
    assert Page.as_view(roles=("dpo",))(request_of(person("auditor2", "auditor"))).status_code == 200

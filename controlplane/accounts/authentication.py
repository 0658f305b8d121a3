"""API keys for REST framework: ``Authorization: Bearer ts_…``."""

from __future__ import annotations

from rest_framework.authentication import BaseAuthentication, get_authorization_header
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from controlplane.accounts import services
from controlplane.accounts.models import ApiKey
from controlplane.accounts.principals import KeyPrincipal
from controlplane.accounts.selectors import apikey_by_secret


class ApiKeyAuthentication(BaseAuthentication):
    """Sets ``request.user`` to a ``KeyPrincipal`` and ``request.auth`` to the ``ApiKey``.

    A header with another scheme, or none, leaves the request to the next authentication; a wrong, revoked or expired
    key is refused with 401 and one wording for all three.
    """

    def authenticate(self, request: Request) -> tuple[KeyPrincipal, ApiKey] | None:
        scheme, _, secret = get_authorization_header(request).decode("latin-1").partition(" ")
        if scheme.lower() != "bearer":
            return None
        key = apikey_by_secret(secret.strip())
        if key is None:
            raise AuthenticationFailed("The API key is unknown, expired or revoked.")
        services.apikey_touch(key=key)
        return KeyPrincipal(key), key

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"

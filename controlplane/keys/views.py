"""The published trust anchor."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

from controlplane.keys.services import trust_anchor


@require_safe
@cache_control(public=True, max_age=300)
def touchstone_keys(_request: HttpRequest) -> HttpResponse:
    """Public keys only; open to everybody by intent, since whoever holds a certificate must be able to verify it."""
    return JsonResponse(trust_anchor())

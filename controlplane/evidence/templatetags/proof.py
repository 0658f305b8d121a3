"""What the buttons under a figure need to know."""

from __future__ import annotations

from typing import Any

from django import template

from controlplane.accounts.permissions import user_has_role
from controlplane.evidence.access import PROVERS
from controlplane.evidence.models import Reproduction
from controlplane.evidence.selectors_reproductions import reproductions_of_value

register = template.Library()

_LOOKS = {
    Reproduction.Outcome.REPRODUCED: "passing",
    Reproduction.Outcome.EXCEPT_ERASURE: "mitigated",
    Reproduction.Outcome.DIFFERS: "failing",
    Reproduction.Outcome.NOT_REPRODUCIBLE: "unknown",
}


@register.simple_tag(takes_context=True)
def may_prove(context: template.Context) -> bool:
    return user_has_role(context["request"].user, *PROVERS)


@register.simple_tag
def last_reproduction(value_id: int) -> Reproduction | None:
    return reproductions_of_value(value_id).first()


@register.filter
def reproduction_state(one: Reproduction) -> str:
    """The name of the state in the vocabulary of all pages."""
    if one.state != Reproduction.State.DONE:
        return str(one.state)
    return _LOOKS[Reproduction.Outcome(one.outcome)]


@register.filter
def reproduction_word(one: Reproduction) -> str:
    return str(one.get_outcome_display() if one.state == Reproduction.State.DONE else one.get_state_display())


@register.filter
def same_state(equal: Any) -> str:
    return {True: "passing", False: "failing"}.get(equal, "unknown")


@register.filter
def same_word(equal: Any) -> str:
    return {True: "The same", False: "Differs"}.get(equal, "Version not kept any more")


@register.filter
def tables_done(progress: Any) -> str:
    """How far it is, in words."""
    return f"{progress.get('done', 0)} of {progress['total']} tables" if progress.get("total") else "starting"

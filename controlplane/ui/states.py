"""The one vocabulary of states: every state is an icon, a word and a tone, the same on every page.

Tones: ``good`` green, ``warn`` amber, ``bad`` red (a person must act), ``busy`` blue (in progress), ``idle`` grey
(nothing to say, or not known; never green).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Tone = Literal["good", "warn", "bad", "busy", "idle"]


@dataclass(frozen=True)
class StateLook:
    word: str
    icon: str
    tone: Tone


STATES: dict[str, StateLook] = {
    # promises
    "on_time": StateLook("On time", "check", "good"),
    "late": StateLook("Late", "clock", "bad"),
    "unknown": StateLook("Unknown", "question", "idle"),
    "not_defined": StateLook("Not defined", "dash", "idle"),
    # checks
    "passing": StateLook("Passing", "check", "good"),
    "failing": StateLook("Failing", "cross", "bad"),
    "error": StateLook("Error", "alert", "bad"),
    "not_run": StateLook("Not run", "circle", "idle"),
    # incidents and requests
    "open": StateLook("Open", "circle", "warn"),
    "acknowledged": StateLook("Acknowledged", "eye", "busy"),
    "mitigated": StateLook("Mitigated", "shield", "busy"),
    "queued": StateLook("Queued", "hourglass", "busy"),
    "resolved": StateLook("Resolved", "check", "good"),
    # things with a life cycle
    "published": StateLook("Published", "check", "good"),
    "draft": StateLook("Draft", "file", "idle"),
    "deprecated": StateLook("Deprecated", "alert", "warn"),
    "retired": StateLook("Retired", "dash", "idle"),
    "active": StateLook("Active", "check", "good"),
    "disabled": StateLook("Disabled", "dash", "idle"),
    "expired": StateLook("Expired", "clock", "idle"),
    "revoked": StateLook("Revoked", "blocked", "idle"),
    # what data is
    "sensitive": StateLook("Sensitive personal data", "alert", "warn"),
    "personal": StateLook("Personal data", "user", "busy"),
    "not_personal": StateLook("No personal data", "dash", "idle"),
    # runs and steps
    "waiting": StateLook("Waiting", "hourglass", "idle"),
    "ready": StateLook("Ready", "play", "busy"),
    "running": StateLook("Running", "retry", "busy"),
    "succeeded": StateLook("Succeeded", "check", "good"),
    "failed": StateLook("Failed", "cross", "bad"),
    "blocked": StateLook("Blocked", "blocked", "warn"),
    "skipped": StateLook("Skipped", "skip", "idle"),
    # drops
    "landed": StateLook("Landed", "inbox", "busy"),
    "accepted": StateLook("Accepted", "check", "good"),
    "refused": StateLook("Refused", "cross", "warn"),
    "duplicate": StateLook("Duplicate", "copy", "idle"),
    # parts of the service
    "up": StateLook("Up", "check", "good"),
    "down": StateLook("Down", "cross", "bad"),
    "within": StateLook("Within its limit", "check", "good"),
    "near": StateLook("Near its limit", "alert", "warn"),
    "over": StateLook("Over its limit", "cross", "bad"),
    "stopped": StateLook("Stopped", "stop", "warn"),
    "flowing": StateLook("Flowing", "play", "good"),
    "intact": StateLook("Intact", "shield", "good"),
    "broken": StateLook("Broken", "alert", "bad"),
    "yes": StateLook("Yes", "check", "good"),
    "no": StateLook("No", "dash", "idle"),
}


def look(state: str) -> StateLook:
    """How a state is shown. One that the vocabulary lacks is shown by its own name, in grey."""
    found = STATES.get(str(state))
    return found or StateLook(str(state).replace("_", " ").capitalize() or "Unknown", "circle", "idle")

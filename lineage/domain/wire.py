"""JSON as producers send it: read by msgspec where that is certain to mean the same, by the standard library everywhere else.

An event's identity is a hash of its canonical text as the standard library writes it, and identities live as long as the
installation. So the fast reader is trusted only with what both write alike: plain ASCII, and no number that they spell in
different ways. Whatever it stumbles over is read again by the standard library, whose verdict and wording count.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import dataclass
from typing import Any

import msgspec

from lineage.domain.ids import event_identity
from lineage.domain.spec import Fault, refuse_constant

__all__ = ["Parsed", "identity", "json_array", "parse", "read"]

_SPACE = re.compile(r"[ \t\n\r]*")


@dataclass(frozen=True, slots=True)
class Parsed:
    """An event as it was sent, what its text says, and the canonical text of that (so that each is made once)."""

    text: str
    event: Any
    canonical: bytes | None = None


class _Spelling(ValueError):
    """A number that JSON writers spell in different ways."""


def _float(text: str) -> float:
    value = float(text)
    spelt = repr(value)
    if "e" in spelt or "n" in spelt:  # 1e+16 or 1e16; inf
        raise _Spelling
    return value


_decode = msgspec.json.Decoder(float_hook=_float).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_encode = msgspec.json.Encoder(order="deterministic").encode
# ValueError: half a surrogate pair, or a number too large. A wrong ending is a DecodeError.
_NOT_SO_PLAIN = (msgspec.MsgspecError, ValueError, RecursionError)


def _canonical(event: Any) -> bytes | None:
    """What ``ids.canonical`` gives, for an event without exponents; None when that is not certain."""
    text = _encode(event)
    return text if text.isascii() and b"\x7f" not in text else None


def parse(text: str) -> Parsed:
    """JSON as RFC 8259 has it; raises ``Fault`` (400) for anything else."""
    try:
        event = _decode(text)
        return Parsed(text, event, _canonical(event))
    except _NOT_SO_PLAIN:
        pass
    try:
        return Parsed(text, json.loads(text, parse_constant=refuse_constant))
    except (ValueError, RecursionError) as error:
        raise Fault("$", f"is not JSON: {error}", status=400) from None


def read(text: str) -> Any:
    """What a stored text says; raises ValueError when it is no JSON."""
    try:
        return _decode(text)
    except _NOT_SO_PLAIN:
        return json.loads(text)


def json_array(text: str) -> list[Parsed]:
    """The elements of a JSON array, each with its own text; raises ``Fault`` (400) when it is no array."""
    try:
        return [_element(bytes(raw).decode()) for raw in _elements(text)]
    except _NOT_SO_PLAIN:
        return _array(text)


def _element(text: str) -> Parsed:
    try:
        event = _decode(text)
        return Parsed(text, event, _canonical(event))
    except _NOT_SO_PLAIN:
        return Parsed(text, json.loads(text, parse_constant=refuse_constant))


def _array(text: str) -> list[Parsed]:
    decoder = json.JSONDecoder(parse_constant=refuse_constant)
    found: list[Parsed] = []
    try:
        at = _space(text, 0)
        if text[at : at + 1] != "[":
            raise Fault("$", "a batch is a JSON array of events", status=400)
        at = _space(text, at + 1)
        while text[at : at + 1] != "]":
            event, end = decoder.raw_decode(text, at)
            found.append(Parsed(text[at:end], event))
            at = _space(text, end)
            if text[at : at + 1] == ",":
                at = _space(text, at + 1)
                if text[at : at + 1] == "]":
                    raise ValueError(f"a value is missing: char {at}")
            elif text[at : at + 1] != "]":
                raise ValueError(f"',' or ']' is missing: char {at}")
        if _space(text, at + 1) != len(text):
            raise ValueError(f"there is more after the array: char {at + 1}")
    except (ValueError, RecursionError) as error:
        raise Fault("$", f"is not JSON: {error}", status=400) from None
    return found


def _space(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def identity(parsed: Parsed, *, key: bytes) -> uuid.UUID:
    """``ids.event_identity`` of the event, made from its canonical text where that is known already."""
    if parsed.canonical is None:
        return event_identity(parsed.event, key=key)
    return uuid.UUID(bytes=hashlib.blake2b(parsed.canonical, digest_size=16, key=key).digest())

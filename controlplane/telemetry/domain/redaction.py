"""Keeping personal data and secrets out of logs. Plain Python.

A net, not a licence: code should not log such values in the first place. It catches what frameworks and drivers put into
messages, such as the ``DETAIL`` of a database error.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

MASK = "[redacted]"

_SECRET_NAME = re.compile(
    r"passw|secret|authorization|cookie|credential|api_?key$|private_?key|dsn$|_url$"
    r"|(^|_)(token|email|e_mail|phone|mobile|first_name|last_name|full_name|birth_date|postal_code|address|iban)s?$",
    re.IGNORECASE,
)
_VALUES = (
    # user:password@ of an address
    (re.compile(r"(?<=://)[^\s/@:]+:[^\s/@]+(?=@)"), MASK),
    (re.compile(r"\bts_[0-9a-f]{12}_[\w-]+"), MASK),
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}"), rf"\1 {MASK}"),
    (re.compile(r"(?i)\b(password|passwd|secret|token|api_?key)(['\"]?\s*[=:]\s*['\"]?)[^\s,;'\"&)]+"), rf"\1\2{MASK}"),
    (re.compile(r"[\w.+%-]+(@|%40)[\w-]+(\.[\w-]+)+"), MASK),
    # +33 6 12 34 56 78, 0033612345678; not the zone of a timestamp, which follows a digit
    (re.compile(r"(?<![\w.:-])(\+|00)[1-9]\d?[\d ().-]{5,16}\d(?![\w:-])"), MASK),
    # 06 12 34 56 78
    (re.compile(r"(?<![\w.:-])0[1-9]([ .-]?\d{2}){4}(?![\w.:-])"), MASK),
)


def redact_text(text: str) -> str:
    """The text without e-mail addresses, phone numbers, keys, passwords and tokens."""
    for pattern, replacement in _VALUES:
        text = pattern.sub(replacement, text)
    return text


def redact(value: Any, *, name: str = "") -> Any:
    """A copy of a log value without what ``redact_text`` removes, nor anything under a name that promises a secret.

    Numbers stay whatever their name: a count of tokens is not a token.
    """
    if value is None or isinstance(value, bool | int | float):
        return value
    if name and _SECRET_NAME.search(name):
        return MASK
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, Mapping):
        return {key: redact(item, name=str(key)) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact(item) for item in value]
    return redact_text(str(value))

"""One regular expression with one meaning on RE2 (DuckDB), java.util.regex (Spark) and Rust's regex (Sail)."""

from __future__ import annotations

_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": r" \t\n\r\f\v"}
_LITERAL_ESCAPES = set(r"\.+*?()[]{}|^$-/'\"@#&~ ,:;=<>!%_`") | {"t", "n", "r", "f"}


def portable(pattern: str) -> str:
    r"""Rewrite ``pattern`` so that every engine reads it the same way; ValueError says what cannot be.

    ``$`` becomes ``\z`` (Java's ``$`` also matches before a final newline), ``\d \w \s`` their ASCII classes (Rust's are
    Unicode) and ``.`` any character but a newline (Java's leaves out more). Look-around, back references, named groups, flags,
    ``\b``, ``\p`` and possessive quantifiers are refused.
    """
    out: list[str] = []
    index, in_class = 0, False
    while index < len(pattern):
        char = pattern[index]
        if char == "\\":
            out.append(_escape(pattern, index, in_class=in_class))
            index += 2
            continue
        if in_class:
            _refuse_in_class(pattern, index)
            in_class = char != "]"
            out.append(char)
        elif char == "[":
            in_class = True
            step = 2 if pattern[index + 1 : index + 2] == "^" else 1
            if pattern[index + step : index + step + 1] == "]":
                raise ValueError("a character class may not start with ]; escape it")
            out.append(pattern[index : index + step])
            index += step - 1
        elif char == "(" and pattern[index + 1 : index + 2] == "?" and pattern[index + 2 : index + 3] != ":":
            raise ValueError("look-around, named groups and flags are not portable")
        elif char == "+" and index and pattern[index - 1] in "*+?}" and not pattern[: index - 1].endswith("\\"):
            raise ValueError("possessive quantifiers are not portable")
        else:
            out.append({"$": r"\z", ".": r"[^\n]"}.get(char, char))
        index += 1
    if in_class:
        raise ValueError("unterminated character class")
    return "".join(out)


def _escape(pattern: str, index: int, *, in_class: bool) -> str:
    following = pattern[index + 1 : index + 2]
    if not following:
        raise ValueError("the pattern ends in a backslash")
    if following in _CLASSES:
        body = _CLASSES[following]
        return body if in_class else f"[{body}]"
    if following.lower() in _CLASSES and not in_class:
        return f"[^{_CLASSES[following.lower()]}]"
    if following not in _LITERAL_ESCAPES:
        raise ValueError(f"\\{following} is not portable")
    return "\\" + following if following not in " '\"@#&~,:;=<>!%_`/" else following


def _refuse_in_class(pattern: str, index: int) -> None:
    if pattern[index] == "[":
        raise ValueError("[ inside a character class must be escaped")
    if pattern[index : index + 2] in ("&&", "~~", "--"):
        raise ValueError(f"{pattern[index : index + 2]} inside a character class is not portable")

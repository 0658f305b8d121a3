"""A view on one part of a document that reads typed values and records a fault, with its place, for whatever does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Any, TypeVar

from .values import Unreadable
from .yaml_source import Path, Source

T = TypeVar("T")
_MISSING = object()


class Reader:
    """``data`` may be anything: the wrong shape reads as empty, since the standard's schema has already named that fault."""

    def __init__(self, source: Source, data: Any, path: Path = ()) -> None:
        self.source, self.path = source, path
        self.data: dict[str, Any] = data if isinstance(data, dict) else {}

    def fault(self, reason: str, *names: str | int, key: bool = False) -> None:
        self.source.fault((*self.path, *names), reason, key=key)

    def has(self, name: str) -> bool:
        return name in self.data

    def child(self, name: str) -> Reader:
        return Reader(self.source, self.data.get(name), (*self.path, name))

    def items(self, name: str) -> Iterator[Reader]:
        """Readers of the mappings in a list."""
        value = self.data.get(name)
        for index, entry in enumerate(value if isinstance(value, list) else []):
            yield Reader(self.source, entry, (*self.path, name, index))

    def raw(self, name: str) -> Any:
        return self.data.get(name)

    def read(self, name: str, convert: Callable[[Any], T]) -> T | None:
        """The converted value; None when absent or, after recording the fault, unreadable."""
        value = self.data.get(name, _MISSING)
        if value is _MISSING:
            return None
        try:
            return convert(value)
        except Unreadable as error:
            self.fault(str(error), name)
            return None

    def text(self, name: str, default: str = "") -> str:
        return self.read(name, _text) or default

    def need(self, name: str, why: str) -> str:
        """Text that has to be there."""
        value = self.text(name)
        if not value and not self.has(name):
            self.fault(f"'{name}' is missing: {why}", name)
        elif self.has(name) and self.data[name] in (None, ""):
            self.fault(f"'{name}' is empty: {why}", name)
        return value

    def flag(self, name: str, default: bool = False) -> bool:
        value = self.read(name, _flag)
        return default if value is None else value

    def whole(self, name: str, minimum: int = 0) -> int | None:
        def convert(value: Any) -> int:
            if isinstance(value, bool) or not isinstance(value, int) or value < minimum:
                raise Unreadable(f"{value!r} is not a whole number of at least {minimum}")
            return value

        return self.read(name, convert)

    def choice(self, name: str, options: tuple[str, ...], default: str | None = None) -> str | None:
        def convert(value: Any) -> str:
            if value not in options:
                raise Unreadable(f"{value!r} is not one of {', '.join(options)}")
            return str(value)

        return self.read(name, convert) or default

    def texts(self, name: str) -> tuple[str, ...]:
        def convert(value: Any) -> tuple[str, ...]:
            if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
                raise Unreadable("expected a list of names")
            return tuple(value)

        return self.read(name, convert) or ()

    def only(self, *known: str) -> None:
        """Names keys that nothing reads: a misspelt setting must not be ignored in silence."""
        for name in self.data:
            if name not in known:
                self.fault(f"'{name}' is not known here; known are {', '.join(known)}", name, key=True)

    def custom(self, *known: str) -> Custom:
        return Custom(self, known)


class Custom(Reader):
    """The ``customProperties`` of an element as a mapping, every value with its place. Other vendors' names are left alone."""

    def __init__(self, owner: Reader, known: tuple[str, ...]) -> None:
        super().__init__(owner.source, {}, owner.path)
        self._places: dict[str, Path] = {}
        entries = owner.data.get("customProperties")
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            name = entry.get("property") if isinstance(entry, dict) else None
            if not isinstance(name, str):
                continue
            path = (*owner.path, "customProperties", index)
            if name in self.data:
                self.source.fault((*path, "property"), f"the custom property '{name}' stands twice")
            elif name in known:
                self.data[name] = entry.get("value")
                self._places[name] = (*path, "value")
            elif close := _close(name, known):
                self.source.fault((*path, "property"), f"the custom property '{name}' is not known; did you mean '{close}'?")

    def _place(self, name: str) -> Path:
        return self._places.get(name, (*self.path, "customProperties"))

    def fault(self, reason: str, *names: str | int, key: bool = False) -> None:
        if names:
            self.source.fault((*self._place(str(names[0])), *names[1:]), reason, key=key)
        else:
            super().fault(reason, key=key)

    def child(self, name: str) -> Reader:
        return Reader(self.source, self.data.get(name), self._place(name))

    def items(self, name: str) -> Iterator[Reader]:
        value = self.data.get(name)
        for index, entry in enumerate(value if isinstance(value, list) else []):
            yield Reader(self.source, entry, (*self._place(name), index))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unreadable(f"{value!r} is not text" + ("; quote it" if isinstance(value, int | float) else ""))
    return value.strip()


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise Unreadable(f"{value!r} is neither true nor false")
    return value


def _close(name: str, known: tuple[str, ...]) -> str | None:
    squashed = {one.lower().replace("_", ""): one for one in known}
    found = get_close_matches(name.lower().replace("_", "").replace("-", ""), squashed, n=1, cutoff=0.8)
    return squashed[found[0]] if found else None

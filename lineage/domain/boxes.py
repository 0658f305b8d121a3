"""What stands in the picture of a graph, and the SVG of one of its boxes. Sizes are SVG units (pixels at scale 1)."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT = 232, 50
JOB_WIDTH, JOB_HEIGHT = 220, 44
ROW_HEIGHT = 22
# Graphviz reserves room beside a box for the buttons that open and fold its sides.
SIDE = 22
LABEL_CHARS, JOB_CHARS, COLUMN_CHARS, NOTE_CHARS = 28, 27, 20, 33


@dataclass(frozen=True)
class Control:
    """A small button on a box. ``place``: left (upstream), right (downstream), columns, rest (columns left out).

    ``sign`` is what is drawn: "+", "−", "+3". ``say`` is what it does, in words.
    """

    place: str
    sign: str
    href: str
    say: str


@dataclass(frozen=True)
class ColumnRow:
    """A column of an opened dataset. ``tone`` and ``note`` are an overlay's mark on it."""

    key: str
    name: str
    type: str = ""
    href: str = ""
    note: str = ""
    tone: str = ""
    icon: str = ""


@dataclass(frozen=True)
class ColumnLine:
    """From a column (or, where its dataset is not opened, from the dataset) to a column."""

    origin: str
    target: str
    indirect: bool = False
    masked: bool = False
    say: str = ""


@dataclass(frozen=True)
class Box:
    """A node. ``kind`` dataset or job; ``tone`` colours a mark whose words stand in ``note``; ``more``: neighbours left out.

    ``icon`` is the path data of a 24 × 24 picture of the mark, so that nothing is said by colour alone.
    """

    key: str
    kind: str
    label: str
    full: str
    href: str
    note: str = ""
    tone: str = ""
    focus: bool = False
    more: bool = False
    gone: bool = False
    icon: str = ""
    say: str = ""
    columns: tuple[ColumnRow, ...] = ()
    controls: tuple[Control, ...] = ()

    @property
    def rest(self) -> Control | None:
        return next((item for item in self.controls if item.place == "rest"), None)

    @property
    def size(self) -> tuple[int, int]:
        if self.kind == "job":
            return JOB_WIDTH, JOB_HEIGHT
        rows = len(self.columns) + (1 if self.rest else 0)
        return WIDTH, HEIGHT + (rows * ROW_HEIGHT + 6 if rows else 0)

    @property
    def head(self) -> int:
        return JOB_HEIGHT if self.kind == "job" else HEIGHT


@dataclass(frozen=True)
class Placed:
    """A box and where its middle is; ``number`` ties it to its lines."""

    box: Box
    x: float
    y: float
    number: int = 0

    @property
    def left(self) -> float:
        return self.x - self.box.size[0] / 2

    @property
    def right(self) -> float:
        return self.x + self.box.size[0] / 2

    @property
    def top(self) -> float:
        return self.y - self.box.size[1] / 2

    def row_y(self, key: str) -> float:
        """The middle of a column's row; of the head for a column that is not drawn."""
        for index, row in enumerate(self.box.columns):
            if row.key == key:
                return self.top + self.box.head + (index + 0.5) * ROW_HEIGHT
        return self.top + self.box.head / 2


def shortened(text: str, chars: int) -> str:
    """The middle goes: names of tables differ at both ends."""
    if len(text) <= chars:
        return text
    head = (chars - 1) // 3
    return f"{text[:head]}…{text[-(chars - 1 - head) :]}"


def _ended(text: str, chars: int) -> str:
    return text if len(text) <= chars else f"{text[: chars - 1].rstrip()}…"


def spoken(box: Box) -> str:
    """What a screen reader says of a node."""
    if box.say:
        return box.say
    parts = (f"{box.kind.capitalize()} {box.full}", box.note, "has more" if box.more else "")
    return ", ".join(part for part in parts if part)


def box_svg(item: Placed) -> str:
    """A link with its texts, then its columns, then its buttons: the order in which the keyboard meets them."""
    box = item.box
    width, height = box.size
    radius = JOB_HEIGHT // 2 if box.kind == "job" else 8
    classes = ["lin-node", f"lin-{box.kind}"]
    classes += [name for name, on in (("lin-focus", box.focus), ("lin-more", box.more), ("lin-gone", box.gone)) if on]
    if box.tone:
        classes.append(f"lin-{box.tone}")
    current = ' aria-current="true"' if box.focus else ""
    words = escape(spoken(box))
    inset = 18 if box.kind == "job" else 13
    left, top = item.left, item.top
    middle = top + box.head / 2
    label = escape(shortened(box.label, JOB_CHARS if box.kind == "job" else LABEL_CHARS))
    shift = 16 if box.icon else 0
    note = escape(_ended(box.note or box.kind.capitalize(), NOTE_CHARS))
    return (
        f'<g class="lin-item" data-n="{item.number}">'
        f'<a class="{" ".join(classes)}" href="{escape(box.href)}" data-key="{escape(box.key)}" aria-label="{words}"{current}>'
        f"<title>{words}</title>"
        f'<rect class="lin-box" x="{left:.1f}" y="{top:.1f}" width="{width}" height="{height}" rx="{radius}"/>'
        f'<text class="lin-label" x="{left + inset:.1f}" y="{middle - 4:.1f}">{label}</text>'
        f"{_icon(box.icon, left + inset, middle + 4.5)}"
        f'<text class="lin-note" x="{left + inset + shift:.1f}" y="{middle + 14:.1f}">{note}</text></a>'
        f"{_columns(item)}{''.join(_control(item, control) for control in box.controls)}</g>"
    )


def _icon(path: str, x: float, y: float) -> str:
    return f'<path class="lin-icon" transform="translate({x:.1f} {y:.1f}) scale(.5)" d="{escape(path)}"/>' if path else ""


def _columns(item: Placed) -> str:
    box = item.box
    if not box.columns:
        return ""
    line = item.top + box.head
    parts = [f'<path class="lin-rule" d="M{item.left:.1f} {line:.1f}H{item.right:.1f}"/>']
    for row in box.columns:
        y = item.row_y(row.key)
        say = escape(", ".join(part for part in (f"Column {row.name}", row.type, row.note, f"of {box.full}") if part))
        shift = 15 if row.icon else 0
        kind = escape(shortened(row.type, 12))
        parts.append(
            f'<a class="lin-column{f" lin-{row.tone}" if row.tone else ""}" href="{escape(row.href)}"'
            f' data-c="{escape(row.key)}" aria-label="{say}"><title>{say}</title>'
            f'<rect x="{item.left + 4:.1f}" y="{y - 10:.1f}" width="{box.size[0] - 8}" height="20" rx="4"/>'
            f"{_icon(row.icon, item.left + 12, y - 6)}"
            f'<text class="lin-cname" x="{item.left + 13 + shift:.1f}" y="{y + 4:.1f}">'
            f"{escape(shortened(row.name, COLUMN_CHARS - shift // 7))}</text>"
            f'<text class="lin-ctype" x="{item.right - 12:.1f}" y="{y + 4:.1f}" text-anchor="end">{kind}</text></a>'
        )
    return f'<g class="lin-columns">{"".join(parts)}</g>'


def _control(item: Placed, control: Control) -> str:
    box = item.box
    middle = item.top + box.head / 2
    say = escape(control.say)
    start = (
        f'<a class="lin-button lin-at-{control.place}" href="{escape(control.href)}" aria-label="{say}"><title>{say}</title>'
    )
    if control.place == "rest":
        y = item.top + box.head + (len(box.columns) + 0.5) * ROW_HEIGHT
        return (
            f'{start}<rect class="lin-ghost" x="{item.left + 4:.1f}" y="{y - 10:.1f}" width="{box.size[0] - 8}" height="20"'
            f' rx="4"/><text class="lin-sign" x="{item.left + 13:.1f}" y="{y + 4:.1f}">{escape(control.sign)}</text></a>'
        )
    wide = max(18, 9 + 7 * len(control.sign))
    x = {"left": item.left - wide / 2, "right": item.right + wide / 2, "columns": item.right - 16}[control.place]
    y = middle if control.place != "columns" else item.top + 15
    return (
        f'{start}<rect x="{x - wide / 2:.1f}" y="{y - 9:.1f}" width="{wide}" height="18" rx="9"/>'
        f'<text class="lin-sign" x="{x:.1f}" y="{y + 4:.1f}" text-anchor="middle">{escape(control.sign)}</text></a>'
    )

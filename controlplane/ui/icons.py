"""The pictures of the pages: one stroke weight, 24 × 24, drawn in the colour of the text beside them."""

# ruff: noqa: E501  (path data is not prose)

from __future__ import annotations

PATHS: dict[str, str] = {
    "check": "M5 12.5l4.5 4.5L19 7.5",
    "clock": "M12 7v5l3.5 2M21 12a9 9 0 1 1-18 0a9 9 0 0 1 18 0",
    "alert": "M12 4L2.8 20h18.4L12 4zM12 10v4.5M12 17.2v.3",
    "cross": "M6.5 6.5l11 11M17.5 6.5l-11 11",
    "question": "M9.2 9.2a2.9 2.9 0 1 1 4.2 2.6c-.9.5-1.4 1.1-1.4 2.2M12 17.2v.3M21 12a9 9 0 1 1-18 0a9 9 0 0 1 18 0",
    "play": "M8 5.5v13l11-6.5z",
    "pause": "M8.5 5.5v13M15.5 5.5v13",
    "stop": "M7 7h10v10H7z",
    "blocked": "M5.7 5.7l12.6 12.6M21 12a9 9 0 1 1-18 0a9 9 0 0 1 18 0",
    "dash": "M6 12h12",
    "skip": "M6 6l7 6-7 6zM17 6v12",
    "hourglass": "M7 3.5h10M7 20.5h10M8 3.5c0 5 8 6 8 8.5s-8 3.5-8 8.5M16 3.5c0 5-8 6-8 8.5s8 3.5 8 8.5",
    "circle": "M20 12a8 8 0 1 1-16 0a8 8 0 0 1 16 0",
    "retry": "M4.5 12a7.5 7.5 0 0 1 13-5.1L20 9.5M20 4.5v5h-5M19.5 12a7.5 7.5 0 0 1-13 5.1L4 14.5M4 19.5v-5h5",
    "copy": "M9 9h11v11H9zM5 15H4V4h11v1",
    "search": "M16 16l4.5 4.5M18 11a7 7 0 1 1-14 0a7 7 0 0 1 14 0",
    "menu": "M4 7h16M4 12h16M4 17h16",
    "home": "M4 11.5L12 4.5l8 7M6.5 10v9.5h11V10",
    "flow": "M4 5.5h5v4H4zM15 14.5h5v4h-5zM9 7.5h3.5v9H15",
    "inbox": "M4 13.5V18a1.5 1.5 0 0 0 1.5 1.5h13A1.5 1.5 0 0 0 20 18v-4.5M4 13.5h4.5l1.5 2.5h4l1.5-2.5H20M4 13.5L7 5h10l3 8.5",
    "reject": "M5 4.5h14v15H5zM9.5 9.5l5 5M14.5 9.5l-5 5",
    "quarantine": "M12 3.5l7.5 2.8v5.4c0 4.4-3 7.4-7.5 8.8c-4.5-1.4-7.5-4.4-7.5-8.8V6.3zM12 9v4M12 15.7v.3",
    "gauge": "M4 17a8.5 8.5 0 1 1 16 0M12 15l3.5-5",
    "server": "M4 4.5h16v6H4zM4 13.5h16v6H4zM7.5 7.5v.1M7.5 16.5v.1",
    "trace": "M5 19.5a2 2 0 1 0 0-4a2 2 0 0 0 0 4M19 8.5a2 2 0 1 0 0-4a2 2 0 0 0 0 4M7 17.5h7a3.5 3.5 0 0 0 0-7h-4a3.5 3.5 0 0 1 0-4h7",
    "box": "M12 3.5l8 4.2v8.6l-8 4.2l-8-4.2V7.7zM4.3 7.9L12 12l7.7-4.1M12 12v8.3",
    "table": "M4 5h16v14H4zM4 10h16M10 10v9",
    "graph": "M6 8.5a2.5 2.5 0 1 0 0-5a2.5 2.5 0 0 0 0 5M18 14.5a2.5 2.5 0 1 0 0-5a2.5 2.5 0 0 0 0 5M6 20.5a2.5 2.5 0 1 0 0-5a2.5 2.5 0 0 0 0 5M8.3 7l7.5 4M8.3 17l7.5-4",
    "shield": "M12 3.5l7.5 2.8v5.4c0 4.4-3 7.4-7.5 8.8c-4.5-1.4-7.5-4.4-7.5-8.8V6.3zM8.7 12l2.4 2.4L15.6 10",
    "users": "M9 11.5a3.5 3.5 0 1 0 0-7a3.5 3.5 0 0 0 0 7M2.5 19.5c.6-3.4 3.2-5 6.5-5s5.9 1.6 6.5 5M16 5a3.3 3.3 0 0 1 0 6.3M18 14.8c2 .6 3.2 2.2 3.5 4.7",
    "key": "M14.5 13a4.5 4.5 0 1 0-4.2-2.9L4 16.5V20h3.5v-2.5H10V15l1.9-2c.8 0 1.7 0 2.6 0M16 8v.1",
    "log": "M6 3.5h9l4 4v13H6zM15 3.5v4h4M9 12h7M9 16h7",
    "download": "M12 4v11M7.5 11l4.5 4.5 4.5-4.5M4.5 19.5h15",
    "upload": "M12 16V5M7.5 9L12 4.5 16.5 9M4.5 19.5h15",
    "eye": "M2.5 12c2.4-4.3 5.6-6.5 9.5-6.5s7.1 2.2 9.5 6.5c-2.4 4.3-5.6 6.5-9.5 6.5S4.9 16.3 2.5 12M15 12a3 3 0 1 1-6 0a3 3 0 0 1 6 0",
    "chevron": "M9 5.5l6.5 6.5L9 18.5",
    "down": "M5.5 9l6.5 6.5L18.5 9",
    "up-right": "M7 17L17 7M9 7h8v8",
    "arrow-up": "M12 19V5M6 11l6-6 6 6",
    "arrow-down": "M12 5v14M6 13l6 6 6-6",
    "arrow-right": "M5 12h14M13 6l6 6-6 6",
    "user": "M12 12a4 4 0 1 0 0-8a4 4 0 0 0 0 8M4.5 20c.7-3.8 3.6-5.5 7.5-5.5s6.8 1.7 7.5 5.5",
    "sun": "M12 16a4 4 0 1 0 0-8a4 4 0 0 0 0 8M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M18.7 5.3l-1.4 1.4M6.7 17.3l-1.4 1.4",
    "moon": "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5",
    "screen": "M3.5 5h17v11h-17zM9 20h6M12 16v4",
    "signout": "M14 4.5H5.5v15H14M10 12h10.5M17 8.5l3.5 3.5-3.5 3.5",
    "plus": "M12 5v14M5 12h14",
    "file": "M6 3.5h8.5l4 4v13H6zM14 3.5V8h4.5",
    "filter": "M4 5.5h16l-6.2 7.2V19l-3.6-1.8v-4.5z",
    "tag": "M4 4.5h7.5L20 13l-7 7-8.5-8.5zM8 8.5v.1",
    "book": "M5 4.5h6a1.5 1.5 0 0 1 1 .5a1.5 1.5 0 0 1 1-.5h6v14h-6a1.5 1.5 0 0 0-1 .6a1.5 1.5 0 0 0-1-.6H5zM12 5v14",
    "gear": "M12 15.2a3.2 3.2 0 1 0 0-6.4a3.2 3.2 0 0 0 0 6.4M12 3v2.5M12 18.5V21M3 12h2.5M18.5 12H21M5.6 5.6l1.8 1.8M16.6 16.6l1.8 1.8M18.4 5.6l-1.8 1.8M7.4 16.6l-1.8 1.8",
}


def icon_svg(name: str, css_class: str = "") -> str:
    """Inline SVG, hidden from screen readers: the word beside it says the same."""
    path = PATHS.get(name, PATHS["circle"])
    return (
        f'<svg class="ts-icon {css_class}" viewBox="0 0 24 24" width="16" height="16" fill="none" stroke="currentColor" '
        f'stroke-width="1.8" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true" focusable="false">'
        f'<path d="{path}"/></svg>'
    )

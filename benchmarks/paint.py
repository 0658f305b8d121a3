"""When a person sees the tiles: real Chromium, signed in, from the start of the navigation to the frame that holds them."""

from __future__ import annotations

import shutil

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Runs before the page's own scripts, with DRAWN in place. A frame callback does not run while style sheets block rendering; the
# message that it posts to itself is handled after the frame has been painted.
_WATCH = """
(() => {
  const look = () => {
    if (!(DRAWN)) { requestAnimationFrame(look); return; }
    const channel = new MessageChannel();
    channel.port1.onmessage = () => { window.painted = performance.now(); };
    requestAnimationFrame(() => channel.port2.postMessage(0));
  };
  requestAnimationFrame(look);
})();
"""
TILES = "[...document.querySelectorAll('.ts-tiles > *')].filter(tile => tile.getBoundingClientRect().height > 0).length >= 6"


def browser() -> str | None:
    return next((path for name in CHROMIUM if (path := shutil.which(name))), None)


def measure(*, url: str, username: str, password: str, times: int, address: str = "/", drawn: str = TILES) -> list[float]:
    """Seconds of each opening of a page after the first, until a frame in which the script ``drawn`` is true has been painted.

    Raises RuntimeError without Chromium.
    """
    from playwright.sync_api import sync_playwright

    found = browser()
    if found is None:
        raise RuntimeError("there is no Chromium on this machine; sh deploy/chromium.sh installs one")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            page = chromium.new_context(viewport={"width": 1280, "height": 900}).new_page()
            page.goto(f"{url}/login/")
            page.get_by_label("User name").fill(username)
            page.get_by_label("Password").fill(password)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url(f"{url}/")
            page.add_init_script(_WATCH.replace("DRAWN", drawn))
            seconds = []
            for _ in range(times + 1):
                page.goto(url + address)
                page.wait_for_function("window.painted")
                seconds.append(float(page.evaluate("window.painted")) / 1000)
            return seconds[1:]
        finally:
            chromium.close()

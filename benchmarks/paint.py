"""When a person sees the tiles: real Chromium, signed in, from the start of the navigation to the frame that holds them."""

from __future__ import annotations

import shutil

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

# Runs before the page's own scripts. A frame callback does not run while style sheets block rendering; the message that it
# posts to itself is handled after the frame has been painted.
WATCH = """
(() => {
  const look = () => {
    const tiles = document.querySelectorAll('.ts-tiles > *');
    const shown = [...tiles].filter(tile => tile.getBoundingClientRect().height > 0);
    if (shown.length < 6) { requestAnimationFrame(look); return; }
    const channel = new MessageChannel();
    channel.port1.onmessage = () => { window.tilesPainted = performance.now(); };
    requestAnimationFrame(() => channel.port2.postMessage(0));
  };
  requestAnimationFrame(look);
})();
"""


def browser() -> str | None:
    return next((path for name in CHROMIUM if (path := shutil.which(name))), None)


def measure(*, url: str, username: str, password: str, times: int) -> list[float]:
    """Seconds of each opening of the home page after the first. Raises RuntimeError without Chromium."""
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
            page.add_init_script(WATCH)
            seconds = []
            for _ in range(times + 1):
                page.goto(f"{url}/")
                page.wait_for_function("window.tilesPainted")
                seconds.append(float(page.evaluate("window.tilesPainted")) / 1000)
            return seconds[1:]
        finally:
            chromium.close()

// The behaviour of Touchstone's pages. Every page can be read and used without it; it adds the live parts, the search dialog,
// copying, the menu on narrow screens and the theme switch.
(() => {
  "use strict";
  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];

  // --- theme -------------------------------------------------------------------------------------------------------
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => { try { return JSON.parse(localStorage.getItem("adminTheme")) || "auto"; } catch { return "auto"; } };
  const paint = () => {
    root.classList.toggle("dark", theme() === "dark" || (theme() === "auto" && dark.matches));
    all("[data-theme]").forEach((button) => button.setAttribute("aria-pressed", String(button.dataset.theme === theme())));
  };
  dark.addEventListener("change", paint);
  all("[data-theme-switch]").forEach((part) => { part.hidden = false; });
  paint();

  // --- clocks: relative times move on by themselves ------------------------------------------------------------------
  const offset = 0;
  const words = (seconds) => {
    const amount = Math.abs(seconds);
    if (amount < 1) return "now";
    const [size, name] = amount >= 86400 ? [86400, "d"] : amount >= 3600 ? [3600, "h"] : amount >= 60 ? [60, "min"] : [1, "s"];
    const text = `${Math.floor(amount / size)} ${name}`;
    return seconds > 0 ? `${text} ago` : `in ${text}`;
  };
  const tick = () => {
    const now = Date.now() + offset;
    for (const part of all("time[datetime] > [data-ago]")) {
      const text = words((now - Date.parse(part.parentElement.dateTime)) / 1000);
      if (part.textContent !== text) part.textContent = text;
    }
  };

  // --- live parts ----------------------------------------------------------------------------------------------------
  // <div data-live="/address" data-etag='W/"…"' data-every="3"> asks again every few seconds with If-None-Match; 304 leaves
  // it alone. It waits while the page is hidden, while text inside is selected, while a field inside has the focus, and (with
  // data-live-hold) while the pointer rests on it: nothing moves under somebody's eyes.
  const mark = () => document.querySelector("[data-live-mark]");
  let heard = Date.now();
  let lost = false;
  const say = (state, text) => {
    const element = mark();
    if (!element) return;
    element.dataset.state = state;
    const word = element.querySelector("[data-live-word]");
    if (word && word.textContent !== text) word.textContent = text;
  };
  const busy = (part) => {
    const selection = getSelection();
    if (selection && !selection.isCollapsed && part.contains(selection.anchorNode)) return true;
    if (part.contains(document.activeElement) && document.activeElement.matches("input:not([type=checkbox]), select, textarea")) return true;
    return part.hasAttribute("data-live-hold") && part.matches(":hover");
  };
  const swap = (part, html) => {
    const open = all("details[open][id]", part).map((item) => item.id);
    const checked = all("input[type=checkbox]:checked[id]", part).map((item) => item.id);
    const focused = part.contains(document.activeElement) ? document.activeElement.id || document.activeElement.getAttribute("href") : null;
    const before = new Map(all("[data-kpi]", part).map((tile) => [tile.dataset.kpi, tile.querySelector("[data-kpi-value]")?.textContent]));
    const scrolls = all("[data-keep-scroll][id]", part).map((item) => [item.id, item.scrollTop, item.scrollLeft]);
    part.innerHTML = html;
    for (const id of open) { const item = document.getElementById(id); if (item) item.open = true; }
    for (const id of checked) { const item = document.getElementById(id); if (item) item.checked = true; }
    for (const [id, top, left] of scrolls) { const item = document.getElementById(id); if (item) { item.scrollTop = top; item.scrollLeft = left; } }
    if (focused) (document.getElementById(focused) || all("a[href]", part).find((link) => link.getAttribute("href") === focused))?.focus({ preventScroll: true });
    for (const tile of all("[data-kpi]", part)) {
      const value = tile.querySelector("[data-kpi-value]");
      if (value && before.has(tile.dataset.kpi) && before.get(tile.dataset.kpi) !== value.textContent) value.classList.add("ts-changed");
    }
    tick();
    document.dispatchEvent(new CustomEvent("ts:updated", { detail: part }));
  };
  const ask = async (part) => {
    try {
      const response = await fetch(part.dataset.live, {
        headers: { "If-None-Match": part.dataset.etag || "", "HX-Request": "true", Accept: "text/html" },
        credentials: "same-origin", redirect: "error", cache: "no-store", signal: AbortSignal.timeout(10000),
      });
      if (response.status === 200) {
        const html = await response.text();
        if (busy(part)) { part.dataset.held = "1"; } else { delete part.dataset.held; part.dataset.etag = response.headers.get("ETag") || ""; swap(part, html); }
      } else if (response.status !== 304) { throw new Error(String(response.status)); }
      else { delete part.dataset.held; }
      if (response.headers.get("X-Live-Done")) part.removeAttribute("data-live");
      heard = Date.now();
      if (lost) { lost = false; document.getElementById("ts-announce").textContent = "The page is live again."; }
    } catch {
      if (!lost) document.getElementById("ts-announce").textContent = "The page has lost its connection and tries again.";
      lost = true;
    }
  };
  const beat = async () => {
    const parts = all("[data-live]");
    if (document.hidden || !parts.length) return;
    await Promise.all(parts.map(async (part) => {
      const every = Number(part.dataset.every || 3) * 1000;
      if (part.dataset.asking || Date.now() - Number(part.dataset.asked || 0) < every - 50) return;
      part.dataset.asking = "1";
      await ask(part);
      part.dataset.asked = String(Date.now());
      delete part.dataset.asking;
    }));
  };
  const report = () => {
    if (!mark()) return;
    const since = Math.round((Date.now() - heard) / 1000);
    if (lost) say("lost", `Connection lost, last heard ${words(since || 1)}`);
    else if (document.querySelector("[data-held]")) say("held", "New data, held while you read");
    else if (document.querySelector("[data-live]")) say("live", `Live, heard ${since < 1 ? "now" : `${since} s ago`}`);
    else say("done", "Up to date");
  };
  const started = Date.now();
  all("[data-live]").forEach((part) => { part.dataset.asked = String(started); });
  setInterval(() => { tick(); beat(); report(); }, 1000);
  document.addEventListener("visibilitychange", () => { if (!document.hidden) { all("[data-live]").forEach((part) => { part.dataset.asked = "0"; }); tick(); beat(); } });
  report();

  // --- search, menu, copying, confirmations ---------------------------------------------------------------------------
  const search = document.getElementById("ts-search");
  const openSearch = () => { if (search && !search.open) { search.showModal(); search.querySelector("input").select(); } };
  const closeNav = (refocus) => { if (root.classList.contains("ts-nav-open")) { root.classList.remove("ts-nav-open"); if (refocus) document.querySelector("[data-nav-open]")?.focus(); } };
  document.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") { event.preventDefault(); openSearch(); }
    if (event.key === "Escape") { closeNav(true); all("details.ts-user[open]").forEach((menu) => { menu.open = false; menu.querySelector("summary").focus(); }); }
    if (search?.open && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      const stops = [search.querySelector("input"), ...all(".ts-hits a", search)];
      const next = stops[(stops.indexOf(document.activeElement) + (event.key === "ArrowDown" ? 1 : -1) + stops.length) % stops.length];
      event.preventDefault(); next.focus();
    }
    if (event.key === " " && event.target.matches?.("a[role=button]")) { event.preventDefault(); event.target.click(); }
  });
  document.addEventListener("click", async (event) => {
    const hit = (selector) => event.target.closest(selector);
    const button = hit("[data-theme]");
    if (button) { localStorage.setItem("adminTheme", JSON.stringify(button.dataset.theme)); paint(); }
    if (hit("[data-search-open]")) { event.preventDefault(); closeNav(false); openSearch(); }
    if (hit("[data-search-close]") || event.target === search) search.close();
    if (hit("[data-nav-open]")) { event.preventDefault(); root.classList.add("ts-nav-open"); document.querySelector("#ts-nav a, #ts-nav button")?.focus(); }
    if (hit("[data-nav-close]")) closeNav(true);
    if (!hit(".ts-user")) all("details.ts-user[open]").forEach((menu) => { menu.open = false; });
    const copy = hit("[data-copy]");
    if (copy) {
      try { await navigator.clipboard.writeText(copy.dataset.copy); copy.dataset.done = "1"; document.getElementById("ts-announce").textContent = "Copied."; setTimeout(() => delete copy.dataset.done, 1200); }
      catch { const code = copy.previousElementSibling; if (code) { code.textContent = copy.dataset.copy; getSelection().selectAllChildren(code); } }
    }
    const opener = hit("[data-dialog]");
    if (opener) { event.preventDefault(); document.getElementById(opener.dataset.dialog)?.showModal(); }
    if (hit("[data-dialog-close]")) hit("dialog").close();
    const toggle = hit("[data-check-all]");
    if (toggle) { all(`input[name="${toggle.dataset.checkAll}"]`).forEach((box) => { box.checked = toggle.checked; }); document.dispatchEvent(new Event("ts:checked")); }
  });
  const counted = () => {
    for (const part of all("[data-count-of]")) {
      const amount = all(`input[name="${part.dataset.countOf}"]:checked`).length;
      part.textContent = amount ? `${amount} selected` : "None selected";
      all(`[data-needs="${part.dataset.countOf}"]`).forEach((button) => { button.disabled = amount === 0; });
    }
  };
  document.addEventListener("change", (event) => { counted(); if (event.target.closest("[data-autosubmit]") && event.target.matches("select")) event.target.form.requestSubmit(); });
  document.addEventListener("ts:checked", counted);
  document.addEventListener("ts:updated", counted);
  counted();
})();

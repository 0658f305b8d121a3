// The lineage explorer: zoom, pan, keys, path under the pointer, redrawing in place, the slider, names while typing.
// Without it every control is a link or a form, and the browser scrolls the picture.
(() => {
  "use strict";
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const explorer = () => document.getElementById("lin-explorer");
  const announce = (text) => { const place = document.getElementById("ts-announce"); if (place) place.textContent = text; };
  const LEAST = 0.1, MOST = 2.5, READABLE = 0.82;
  let scale = 0;

  // --- zoom and pan: the frame scrolls, the picture has a size ---------------------------------------------------------
  const parts = () => { const frame = document.getElementById("lin-frame"); return { frame, svg: frame?.querySelector("svg.lin-svg") }; };
  const size = (svg) => ({ width: svg.viewBox.baseVal.width, height: svg.viewBox.baseVal.height });
  const paint = (frame, svg) => { const full = size(svg); svg.setAttribute("width", full.width * scale); svg.setAttribute("height", full.height * scale); };
  const zoom = (wanted, x, y) => {
    const { frame, svg } = parts();
    if (!svg) return;
    const before = scale, box = frame.getBoundingClientRect();
    const px = x === undefined ? frame.clientWidth / 2 : x - box.left, py = y === undefined ? frame.clientHeight / 2 : y - box.top;
    const left = (frame.scrollLeft + px) / before, top = (frame.scrollTop + py) / before;
    scale = Math.min(MOST, Math.max(LEAST, wanted));
    paint(frame, svg);
    frame.scrollLeft = left * scale - px;
    frame.scrollTop = top * scale - py;
  };
  const whole = (frame, svg) => { const full = size(svg); return Math.min(1, (frame.clientWidth - 2) / full.width, (frame.clientHeight - 2) / full.height); };
  const fit = () => { const { frame, svg } = parts(); if (svg) zoom(whole(frame, svg)); };
  const centre = (item) => {
    const { frame } = parts(), box = frame.getBoundingClientRect(), at = item.getBoundingClientRect();
    frame.scrollLeft += at.left + at.width / 2 - box.left - frame.clientWidth / 2;
    frame.scrollTop += at.top + at.height / 2 - box.top - frame.clientHeight / 2;
  };
  const reveal = (item) => {
    const { frame } = parts(), box = frame.getBoundingClientRect(), at = item.getBoundingClientRect();
    if (at.left < box.left || at.right > box.right || at.top < box.top || at.bottom > box.bottom) centre(item);
  };

  // --- nodes: one tab stop, arrows go on ------------------------------------------------------------------------------
  const nodes = () => all("#lin-frame a.lin-node");
  const place = (node) => { const box = node.querySelector(".lin-box").getBBox(); return { x: box.x + box.width / 2, y: box.y + box.height / 2 }; };
  const number = (node) => node.closest(".lin-item").dataset.n;
  const itemOf = (n) => document.querySelector(`#lin-frame .lin-item[data-n="${n}"]`);
  const current = (node) => {
    for (const link of all("#lin-frame svg a")) link.setAttribute("tabindex", "-1");
    const item = node.closest(".lin-item");
    for (const link of all("a", item)) link.setAttribute("tabindex", "0");
  };
  const step = (node, key) => {
    const here = place(node), mine = number(node);
    if (key === "ArrowLeft" || key === "ArrowRight") {
      const [near, far] = key === "ArrowRight" ? ["f", "t"] : ["t", "f"];
      const ends = all(`#lin-frame .lin-edge[data-${near}="${mine}"]`).map((edge) => itemOf(edge.dataset[far])?.querySelector(".lin-node")).filter(Boolean);
      return ends.sort((a, b) => Math.abs(place(a).y - here.y) - Math.abs(place(b).y - here.y))[0];
    }
    const down = key === "ArrowDown";
    const column = nodes().filter((one) => one !== node && (down ? place(one).y > here.y : place(one).y < here.y));
    return column.sort((a, b) => { const way = (one) => Math.abs(place(one).x - here.x) * 3 + Math.abs(place(one).y - here.y); return way(a) - way(b); })[0];
  };

  // --- the way to a node and from it ----------------------------------------------------------------------------------
  const closure = (start, pairs) => {
    const found = new Set([start]);
    for (const [near, far] of [[0, 1], [1, 0]]) {
      const queue = [start], seen = new Set(queue);
      while (queue.length) { const one = queue.pop(); for (const pair of pairs) if (pair[near] === one && !seen.has(pair[far])) { seen.add(pair[far]); found.add(pair[far]); queue.push(pair[far]); } }
    }
    return found;
  };
  const untrace = () => { const { svg } = parts(); svg?.classList.remove("lin-tracing"); all("#lin-frame .lin-on").forEach((one) => one.classList.remove("lin-on")); };
  const trace = (link) => {
    const { svg } = parts();
    untrace();
    if (!svg || !link) return;
    const column = link.dataset.c;
    if (column) {
      const flows = all(".lin-flow", svg), on = closure(column, flows.map((one) => [one.dataset.cf, one.dataset.ct]));
      for (const flow of flows) flow.classList.toggle("lin-on", on.has(flow.dataset.cf) && on.has(flow.dataset.ct));
      for (const one of all("[data-c], [data-key]", svg)) if (on.has(one.dataset.c || one.dataset.key)) { one.classList.add("lin-on"); one.closest(".lin-item").classList.add("lin-on"); }
    } else if (link.classList.contains("lin-node")) {
      const edges = all(".lin-edge", svg), on = closure(number(link), edges.map((one) => [one.dataset.f, one.dataset.t]));
      for (const edge of edges) edge.classList.toggle("lin-on", on.has(edge.dataset.f) && on.has(edge.dataset.t));
      for (const item of all(".lin-item", svg)) item.classList.toggle("lin-on", on.has(item.dataset.n));
    } else return;
    svg.classList.add("lin-tracing");
  };

  // --- redrawing in place ----------------------------------------------------------------------------------------------
  let anchor = null;
  const redraw = (url, source) => {
    const item = source?.closest?.(".lin-item")?.querySelector(".lin-node") || document.querySelector("#lin-frame .lin-focus");
    const at = item?.getBoundingClientRect();
    anchor = item && { key: item.dataset.key, left: at.left, top: at.top, focus: document.activeElement?.closest?.("#lin-frame") ? source?.getAttribute?.("class") : null, table: document.getElementById("lin-table-details")?.open };
    if (!window.htmx) { location.assign(url); return; }
    window.htmx.ajax("GET", url, { target: "#lin-explorer", swap: "outerHTML" }).catch(() => location.assign(url));
  };
  const start = (fresh) => {
    const { frame, svg } = parts();
    if (!svg) return;
    const full = size(svg);
    frame.parentElement.classList.toggle("lin-small", full.height * Math.min(1, (frame.clientWidth - 2) / full.width) < 260 && full.width <= frame.clientWidth * 1.4);
    if (!scale || fresh) scale = Math.max(READABLE, whole(frame, svg));
    paint(frame, svg);
    const middle = svg.querySelector(".lin-focus") || svg.querySelector(".lin-node");
    const kept = anchor && svg.querySelector(`.lin-node[data-key="${CSS.escape(anchor.key)}"]`);
    if (kept) {
      const at = kept.getBoundingClientRect();
      frame.scrollLeft += at.left - anchor.left;
      frame.scrollTop += at.top - anchor.top;
      current(kept);
      if (anchor.focus) (anchor.focus.includes("lin-at-columns") ? kept.closest(".lin-item").querySelector(".lin-at-columns") : kept)?.focus({ preventScroll: true });
    } else if (middle) { centre(middle); current(middle); }
    if (anchor) {
      const details = document.getElementById("lin-table-details");
      if (details && anchor.table !== undefined) details.open = anchor.table;
      announce(`${svg.querySelectorAll(".lin-node").length} nodes shown.`);
    }
    anchor = null;
  };
  document.addEventListener("htmx:afterSettle", (event) => { if (event.detail.target?.id === "lin-explorer" || event.target.id === "lin-explorer") start(false); });
  document.addEventListener("htmx:historyRestore", () => { scale = 0; start(true); });
  document.addEventListener("htmx:responseError", (event) => { if (event.target.id === "lin-explorer") announce("The picture could not be drawn. Reload the page to try again."); });

  document.addEventListener("click", (event) => {
    if (dragged) { event.preventDefault(); return; }
    if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    const tool = event.target.closest("[data-zoom]");
    if (tool) { if (tool.dataset.zoom === "fit") fit(); else zoom(scale * (tool.dataset.zoom === "in" ? 1.25 : 0.8)); }
    const link = event.target.closest("#lin-frame a.lin-button, #lin-explorer a[data-redraw]");
    if (link) { event.preventDefault(); redraw(link.getAttribute("href"), link); }
    all(".lin-menu[open]").forEach((menu) => { if (!menu.contains(event.target)) menu.open = false; });
    if (!event.target.closest(".lin-find")) close();
  });
  document.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-redraw]");
    if (!form) return;
    event.preventDefault();
    const pairs = [...new FormData(form)].filter(([, value]) => value !== "");
    redraw(`${form.getAttribute("action")}?${new URLSearchParams(pairs)}`);
  });
  document.addEventListener("change", (event) => { if (event.target.matches("form.lin-form[data-redraw] select")) event.target.form.requestSubmit(); });

  // --- the slider ------------------------------------------------------------------------------------------------------
  let waiting = 0;
  document.addEventListener("input", (event) => {
    const slider = event.target;
    if (slider.id !== "lin-slider") return;
    const ticks = JSON.parse(document.getElementById("lin-moments").textContent), tick = ticks[Number(slider.value)];
    const text = tick ? tick.text : "now";
    document.getElementById("lin-moment").textContent = text;
    slider.setAttribute("aria-valuetext", text);
    clearTimeout(waiting);
    waiting = setTimeout(() => redraw(tick ? `${slider.dataset.url}${slider.dataset.url.includes("?") ? "&" : "?"}at=${encodeURIComponent(tick.at)}` : slider.dataset.url), 90);
  });

  // --- keys, pointer, wheel --------------------------------------------------------------------------------------------
  document.addEventListener("keydown", (event) => {
    if (event.target.id === "lin-q") { typing(event); return; }
    const menu = event.key === "Escape" && event.target.closest?.(".lin-menu[open]");
    if (menu) { menu.open = false; menu.querySelector("summary").focus(); return; }
    const frame = event.target.closest?.("#lin-frame");
    if (!frame || event.ctrlKey || event.metaKey || event.altKey) return;
    const node = event.target.closest(".lin-item")?.querySelector(".lin-node");
    const press = (place) => { const link = node?.closest(".lin-item").querySelector(`.lin-at-${place}`); if (link) redraw(link.getAttribute("href"), link); };
    const act = {
      "+": () => zoom(scale * 1.25), "=": () => zoom(scale * 1.25), "-": () => zoom(scale * 0.8), 0: fit,
      c: () => press("columns"), "[": () => press("left"), "]": () => press("right"),
      Escape: () => { untrace(); if (event.target === frame) frame.blur(); else frame.focus({ preventScroll: true }); },
    }[event.key];
    if (act) { event.preventDefault(); act(); return; }
    if (node && event.key.startsWith("Arrow")) {
      event.preventDefault();
      const rows = all("a.lin-column", node.closest(".lin-item")), row = rows.indexOf(event.target);
      const up = event.key === "ArrowUp", down = event.key === "ArrowDown";
      // In an opened dataset up and down go through its columns first.
      if (rows.length && (row >= 0 || (down && event.target === node)) && (up || down)) {
        const next = down ? rows[row + 1] : row > 0 ? rows[row - 1] : node;
        if (next) { next.focus({ preventScroll: true }); reveal(next); return; }
      }
      const next = step(node, event.key);
      if (next) { current(next); next.focus({ preventScroll: true }); reveal(next); }
    }
  });
  document.addEventListener("focusin", (event) => {
    const link = event.target.closest?.("#lin-frame svg a");
    if (link) { const node = link.closest(".lin-item").querySelector(".lin-node"); current(node); trace(link); reveal(link); } else if (!event.target.closest?.("#lin-frame")) untrace();
  });
  document.addEventListener("pointerover", (event) => {
    const link = event.target.closest?.("#lin-frame a.lin-node, #lin-frame a.lin-column");
    if (link && !moving) trace(link); else if (event.target.closest?.("#lin-frame")) untrace();
  });
  document.addEventListener("pointerout", (event) => { if (event.target.closest?.("#lin-frame") && !event.relatedTarget?.closest?.("#lin-frame")) untrace(); });
  let moving = null, dragged = false;
  document.addEventListener("pointerdown", (event) => {
    dragged = false;
    const frame = event.target.closest?.("#lin-frame");
    if (!frame || event.button || event.pointerType !== "mouse") return;
    const box = frame.getBoundingClientRect();
    if (event.clientX - box.left > frame.clientWidth || event.clientY - box.top > frame.clientHeight) return;
    moving = { frame, x: event.clientX, y: event.clientY, left: frame.scrollLeft, top: frame.scrollTop };
  });
  document.addEventListener("pointermove", (event) => {
    if (!moving) return;
    const dx = event.clientX - moving.x, dy = event.clientY - moving.y;
    if (!dragged && Math.abs(dx) + Math.abs(dy) < 5) return;
    dragged = true;
    moving.frame.classList.add("lin-dragging");
    moving.frame.scrollLeft = moving.left - dx;
    moving.frame.scrollTop = moving.top - dy;
  });
  document.addEventListener("pointerup", () => { moving?.frame.classList.remove("lin-dragging"); moving = null; setTimeout(() => { dragged = false; }, 0); });
  document.addEventListener("dragstart", (event) => { if (event.target.closest?.("#lin-frame")) event.preventDefault(); });
  document.addEventListener("wheel", (event) => {
    if (!event.target.closest?.("#lin-frame") || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    zoom(scale * Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
  }, { passive: false });

  // --- names while typing ----------------------------------------------------------------------------------------------
  const list = () => document.getElementById("lin-hits");
  const options = () => all("li[data-href]", list() || document.createElement("ul"));
  const close = () => { const box = list(); if (!box) return; box.hidden = true; const field = document.getElementById("lin-q"); field.setAttribute("aria-expanded", "false"); field.removeAttribute("aria-activedescendant"); };
  const choose = (option) => {
    options().forEach((one) => one.setAttribute("aria-selected", String(one === option)));
    const field = document.getElementById("lin-q");
    if (option) { field.setAttribute("aria-activedescendant", option.id); option.scrollIntoView({ block: "nearest" }); } else field.removeAttribute("aria-activedescendant");
  };
  const typing = (event) => {
    const found = options(), chosen = found.findIndex((one) => one.getAttribute("aria-selected") === "true");
    if (event.key === "Escape") { close(); return; }
    if (list().hidden || !found.length) return;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); choose(found[(chosen + (event.key === "ArrowDown" ? 1 : -1) + found.length + (chosen < 0 && event.key === "ArrowUp" ? 1 : 0)) % found.length]); }
    if (event.key === "Enter" && chosen >= 0) { event.preventDefault(); location.assign(found[chosen].dataset.href); }
  };
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.detail.target?.id !== "lin-hits") return;
    const box = list(), any = box.children.length > 0;
    box.hidden = !any;
    document.getElementById("lin-q").setAttribute("aria-expanded", String(any));
    announce(any ? `${options().length} names found.` : "");
  });
  document.addEventListener("pointerdown", (event) => { const option = event.target.closest?.("#lin-hits li[data-href]"); if (option) { event.preventDefault(); location.assign(option.dataset.href); } });
  document.addEventListener("focusout", (event) => { if (event.target.id === "lin-q") close(); });

  start(true);
})();

// The node that was asked for stands in view, also where the picture is wider than the screen.
for (const frame of document.querySelectorAll(".lin-frame")) {
  const box = frame.querySelector(".lin-focus rect");
  if (!box) continue;
  const inner = box.getBoundingClientRect(), outer = frame.getBoundingClientRect();
  frame.scrollLeft += inner.left + inner.width / 2 - (outer.left + outer.width / 2);
  frame.scrollTop += inner.top + inner.height / 2 - (outer.top + outer.height / 2);
}

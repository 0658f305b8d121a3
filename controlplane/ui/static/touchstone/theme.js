// Runs before the first paint, so that a dark page never flashes white. Everything else waits in ui.js.
(() => {
  const root = document.documentElement;
  let theme = "auto";
  try { theme = JSON.parse(localStorage.getItem("adminTheme")) || "auto"; } catch { /* private mode or foreign value */ }
  root.classList.toggle("dark", theme === "dark" || (theme === "auto" && matchMedia("(prefers-color-scheme: dark)").matches));
  root.classList.add("js");
})();

// Charts of a dataset's figures. The table beside each says the same without this script.
(() => {
  "use strict";
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const drawn = [];
  const draw = () => {
    drawn.splice(0).forEach((chart) => chart.destroy());
    for (const canvas of document.querySelectorAll("canvas[data-chart]")) {
      const data = JSON.parse(document.getElementById(canvas.dataset.chart).textContent);
      const line = colour("--ts-spark"), grid = colour("--ts-line"), text = colour("--ts-muted");
      const times = data.labels.map((label) => new Date(label).toLocaleString([], { dateStyle: "short", timeStyle: "short" }));
      drawn.push(new window.Chart(canvas, {
        type: "line",
        data: { labels: times, datasets: [{ data: data.values, borderColor: line, backgroundColor: line, borderWidth: 2, pointRadius: data.values.length > 40 ? 0 : 2.5, tension: 0.15 }] },
        options: {
          animation: false, responsive: true, maintainAspectRatio: false,
          plugins: { legend: { display: false } },
          scales: { x: { ticks: { color: text, maxTicksLimit: 3, maxRotation: 0 }, grid: { display: false } }, y: { beginAtZero: true, ticks: { color: text, maxTicksLimit: 4, precision: 0 }, grid: { color: grid } } },
        },
      }));
    }
  };
  document.addEventListener("DOMContentLoaded", draw);
  new MutationObserver(draw).observe(document.documentElement, { attributes: true, attributeFilter: ["class"] });
})();

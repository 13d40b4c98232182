// Draws the charts of a page with Chart.js from what the server wrote: it computes no figure.

const probe = document.createElement("i");
probe.hidden = true;
document.body.append(probe);

// A custom property may hold light-dark(), which only a real property resolves.
function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color;
}

function isAlone(points, place) {
  return points[place] !== null && (points[place - 1] ?? null) === null && (points[place + 1] ?? null) === null;
}

function dataset(series, kind) {
  const ink = colour(`series-${series.colour}`);
  const common = { label: series.name, data: series.points, texts: series.texts };
  if (kind === "bars" && series.role !== "plan") {
    const edge = { borderColor: colour("surface"), borderWidth: { top: 1 }, borderSkipped: false };
    return { ...common, ...edge, type: "bar", stack: "sum", backgroundColor: ink, maxBarThickness: 44, order: 1 };
  }
  return {
    ...common,
    type: "line",
    order: 0,
    borderColor: ink,
    backgroundColor: ink,
    borderWidth: 2,
    borderDash: series.role === "plan" ? [2, 4] : [],
    pointRadius: (point) => (isAlone(series.points, point.dataIndex) ? 2.5 : 0),
    pointHoverRadius: 4,
    tension: 0,
    spanGaps: false,
  };
}

function tooltip(content) {
  return {
    backgroundColor: colour("tooltip"),
    titleColor: colour("on-tooltip"),
    bodyColor: colour("on-tooltip"),
    footerColor: colour("on-tooltip"),
    padding: 10,
    cornerRadius: 8,
    boxPadding: 4,
    usePointStyle: true,
    filter: (item) => item.raw !== null,
    // From the top of a stack down.
    itemSort: (one, other) => (content.kind === "bars" ? other.datasetIndex - one.datasetIndex : 0),
    callbacks: {
      label: (item) => ` ${item.dataset.label}: ${item.dataset.texts[item.dataIndex]}`,
      labelPointStyle: () => ({ pointStyle: "rectRounded", rotation: 0 }),
      footer: ([item]) => (content.totals.length ? `Total: ${content.totals[item.dataIndex]}` : ""),
    },
  };
}

function axes(content) {
  const ticks = { color: colour("muted"), maxRotation: 0, autoSkipPadding: 16 };
  return {
    x: { stacked: content.kind === "bars", grid: { display: false }, border: { color: colour("line") }, ticks },
    y: {
      stacked: content.kind === "bars",
      min: 0,
      max: content.ticks.at(-1).at || 1,
      grid: { color: colour("line") },
      border: { display: false },
      afterBuildTicks: (axis) => (axis.ticks = content.ticks.map((tick) => ({ value: tick.at }))),
      ticks: { ...ticks, autoSkip: false, callback: (_, place) => content.ticks[place].text },
    },
  };
}

function follow(content) {
  if (!content.links.length) return {};
  return {
    onHover: (event, items) => (event.native.target.style.cursor = items.length ? "pointer" : ""),
    onClick: (_, [item]) => item && location.assign(content.links[item.index]),
  };
}

function draw(canvas) {
  Chart.getChart(canvas)?.destroy();
  const content = JSON.parse(document.getElementById(`${canvas.id}-data`).textContent);
  new Chart(canvas, {
    type: content.kind === "bars" ? "bar" : "line",
    data: { labels: content.labels, datasets: content.series.map((one) => dataset(one, content.kind)) },
    options: {
      animation: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      plugins: { legend: { display: false }, tooltip: tooltip(content) },
      scales: axes(content),
      ...follow(content),
    },
  });
}

function drawAll() {
  for (const chart of Object.values(Chart.instances)) {
    if (!chart.canvas.isConnected) chart.destroy();
  }
  document.querySelectorAll("figure[data-chart] canvas").forEach(draw);
}

Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
drawAll();
document.fonts.ready.then(drawAll);
document.addEventListener("house:refreshed", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
new MutationObserver(drawAll).observe(document.documentElement, { attributeFilter: ["data-theme"] });
addEventListener("beforeprint", () => Object.values(Chart.instances).forEach((chart) => chart.resize()));

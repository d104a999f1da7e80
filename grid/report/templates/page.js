"use strict";
// Draws the page's charts for its width and colour scheme, again when either changes, and sorts its tables.
const narrow = matchMedia("(max-width: 760px)");
const dark = matchMedia("(prefers-color-scheme: dark)");
const config = { displaylogo: false, responsive: true, displayModeBar: "hover", plotlyServerURL: "", showLink: false,
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"], scrollZoom: false };

function template() {
  const css = getComputedStyle(document.documentElement);
  const colour = (name) => css.getPropertyValue(name).trim();
  const axis = { gridcolor: colour("--line"), linecolor: colour("--line"), tickfont: { color: colour("--soft") },
    title: { font: { color: colour("--soft"), size: 13 } } };
  return { layout: {
    font: { family: colour("--sans"), size: 13, color: colour("--ink") },
    xaxis: axis, yaxis: axis,
    legend: { font: { size: 13 }, title: { font: { size: 13, color: colour("--soft") } }, bgcolor: "rgba(0,0,0,0)" },
    hoverlabel: { bgcolor: colour("--sheet"), bordercolor: colour("--soft"), font: { color: colour("--ink"), size: 13 } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: colour("--soft"), activecolor: colour("--ink") },
  } };
}

function draw(source) {
  const figure = JSON.parse(source.textContent);
  const { meta, ...wide } = figure.layout;
  const chosen = narrow.matches ? meta.narrow : wide;
  const holder = document.getElementById(source.dataset.figure);
  holder.style.minWidth = `${meta.min_width}px`;
  // On a touch screen a drag must scroll the page, not zoom the chart.
  const layout = { ...chosen, template: template(), dragmode: narrow.matches ? false : "zoom" };
  return Plotly.react(holder, figure.data, layout, config);
}

function drawAll() {
  document.querySelectorAll("script[data-figure]").forEach(draw);
}

function sortBy(table, column) {
  const heads = [...table.tHead.rows[0].cells];
  const ascending = heads[column].getAttribute("aria-sort") === "descending" || (column === 0 && !heads[0].ariaSort);
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", ascending ? "ascending" : "descending");
  const key = (row) => row.cells[column].dataset.key;
  const compare = (a, b) => {
    if (key(a) === "" || key(b) === "") return (key(a) === "") - (key(b) === "");
    const order = column === 0 ? key(a).localeCompare(key(b), undefined, { numeric: true }) : key(a) - key(b);
    return ascending ? order : -order;
  };
  table.tBodies[0].append(...[...table.tBodies[0].rows].sort(compare));
}

document.querySelectorAll("table.sortable").forEach((table) =>
  [...table.tHead.rows[0].cells].forEach((head, column) =>
    head.firstElementChild.addEventListener("click", () => sortBy(table, column))));

// A link to a trial leads into a table that may be folded away.
function openTarget() {
  const target = location.hash.startsWith("#trial-") && document.getElementById(location.hash.slice(1));
  if (!target) return;
  target.closest("details").open = true;
  target.scrollIntoView({ block: "center" });
}
addEventListener("hashchange", openTarget);
openTarget();

if (window.Plotly) {
  drawAll();
  narrow.addEventListener("change", drawAll);
  dark.addEventListener("change", drawAll);
} else {
  document.querySelectorAll(".chart").forEach((holder) => {
    holder.textContent = "This chart needs the file plotly.min.js, which was written beside this page.";
    holder.style.height = "auto";
  });
}

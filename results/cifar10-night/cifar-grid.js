"use strict";
// What the pages do: theme, charts that are drawn when they come into view, filters, marks that go through all charts
// and tables, a panel for each trial. The state of a page stands in its address. How a figure says what belongs to an
// arm is written in grid/report/charts/style.py.

const root = document.documentElement;
const byId = (id) => document.getElementById(id);
const narrow = matchMedia("(max-width: 760px)");
const dark = matchMedia("(prefers-color-scheme: dark)");

/** Makes an element with properties and children, of which text stays text. */
function make(tag, properties = {}, ...children) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
}

const button = (text, onclick, properties = {}) => make("button", { type: "button", onclick, ...properties }, text);

// ---- theme: the system's, or the one that was chosen

const THEMES = ["auto", "light", "dark"];

function theme() {
  try { return localStorage.getItem("theme") ?? "auto"; } catch { return root.dataset.theme ?? "auto"; }
}

function setTheme(name) {
  root.dataset.theme = name;
  try { localStorage.setItem("theme", name); } catch { /* for this page only */ }
  byId("theme").textContent = `Theme: ${name}`;
  redraw();
}

root.dataset.theme = theme(); // before anything is painted

// ---- state: what is shown and marked, by the names that it has in the address

const TEXTS = ["find", "hide", "only", "top", "sort", "trial"]; // empty: not set
const state = {};
let study = null; // fields, arms, order (the best first), seeds

/** Names of what is a set, null where nothing is left out: marked arms, seeds, values of each field. */
const sets = () => ["arms", "seeds", ...study.fields.map((_, index) => `f${index}`)];

function readAddress(text = location.hash.slice(1)) {
  const given = new URLSearchParams(text.includes("=") ? text : ""); // or an ordinary anchor
  TEXTS.forEach((name) => { state[name] = given.get(name) ?? ""; });
  sets().forEach((name) => { state[name] = given.has(name) ? new Set(given.get(name).split(",").filter(Boolean).map(Number)) : null; });
}

function writeAddress() {
  const parts = [...TEXTS, ...sets()].filter((name) => state[name] instanceof Set || state[name])
    .map((name) => `${name}=${state[name] instanceof Set ? [...state[name]] : encodeURIComponent(state[name])}`);
  history.replaceState(null, "", parts.length ? `#${parts.join("&")}` : location.pathname + location.search);
}

/** Number of arms in a chart; of very many, it starts with the best. 0: all. */
const topArms = () => Number(state.top || (study.arms.length > 40 ? 20 : 0)) || 0;

/** The arms that filters leave, the best first. */
function shownArms() {
  const words = state.find.toLowerCase();
  return study.order.filter((index) => {
    const [label, values, ok] = study.arms[index];
    return values.every((value, field) => state[`f${field}`]?.has(value) ?? true) && (!state.hide || ok > 0)
      && label.toLowerCase().includes(words) && (!state.only || state.arms?.has(index));
  });
}

const seedShown = (seed) => state.seeds?.has(Number(seed)) ?? true;

function apply() {
  writeAddress();
  const arms = shownArms();
  const all = study.arms.length;
  const best = topArms() && topArms() < arms.length ? `, the best ${topArms()} in charts` : "";
  byId("filters").querySelector("summary").textContent =
    `Filter: ${arms.length === all ? (all === 1 ? "1" : `all ${all}`) : `${arms.length} of ${all}`} arm${all === 1 ? "" : "s"}${best}${state.seeds ? ", some seeds" : ""}`;
  tables.forEach(filterTable);
  redraw();
}

// ---- filters

function fillFilters() {
  const form = byId("filters").querySelector("form");
  const box = (text, checked, put) => {
    const input = make("input", { type: "checkbox", checked, onchange: () => { put(input.checked); apply(); } });
    return make("label", {}, input, ` ${text}`);
  };
  const flag = (text, name) => box(text, Boolean(state[name]), (on) => { state[name] = on ? "1" : ""; });
  const boxes = (title, name, values, names = values) => {
    const left = new Set(state[name] ?? values);
    return make("fieldset", {}, make("legend", {}, title), ...values.map((value, index) => box(names[index], left.has(value), (on) => {
      if (on) left.add(value); else left.delete(value);
      state[name] = left.size === values.length ? null : new Set(left);
    })));
  };
  const field = (text, type, name, value = state[name]) => {
    const input = make("input", { type, value, min: 0, oninput: () => { state[name] = input.value; apply(); } });
    return make("label", {}, `${text} `, input);
  };
  form.replaceChildren(
    ...study.fields.map(({ label, names }, index) => boxes(label, `f${index}`, [...names.keys()], names)),
    boxes("seeds (means are of all)", "seeds", study.seeds), field("name holds", "search", "find"),
    field("in charts, the best", "number", "top", topArms() || ""), flag("hide what failed", "hide"), flag("only marked arms", "only"),
    button("Show all, unmark", () => { readAddress("top=0"); fillFilters(); apply(); }), copyButton("Copy link", () => location.href),
  );
  form.onsubmit = (event) => event.preventDefault();
}

function copyButton(text, content) {
  const element = button(text, async () => {
    const done = await navigator.clipboard?.writeText(content()).then(() => "Copied", () => null);
    element.textContent = done ?? "The browser refuses";
    setTimeout(() => { element.textContent = text; }, 1500);
  });
  return element;
}

// ---- charts

let plotly = null; // a promise of plotly.js
const drawn = new Map(); // figures by the element that holds them

function template() {
  const css = getComputedStyle(root);
  const probe = document.body.appendChild(make("span"));
  const colour = (name) => { probe.style.color = `var(${name})`; return getComputedStyle(probe).color; };
  const [ink, soft, line, sheet] = ["--ink", "--soft", "--line", "--sheet"].map(colour);
  probe.remove();
  const axis = { gridcolor: line, linecolor: line, tickfont: { color: soft }, title: { font: { color: soft, size: 13 } } };
  return { layout: {
    font: { family: css.getPropertyValue("--sans"), size: 13, color: ink }, xaxis: axis, yaxis: axis,
    legend: { font: { size: 13 }, title: { font: { size: 13, color: soft } }, bgcolor: "rgba(0,0,0,0)" },
    hoverlabel: { bgcolor: sheet, bordercolor: soft, font: { color: ink, size: 13 } },
    modebar: { bgcolor: "rgba(0,0,0,0)", color: soft, activecolor: ink },
  } };
}

/** The arm that a whole trace is about, or null. */
const ownArm = (trace) => { const found = /^arm(\d+)-/.exec(trace.uid ?? ""); return found && Number(found[1]); };

/** What of a trace stays, with rows moved up: points by their ids, whole traces by their uid. */
function filterTrace(trace, keepTrace, keep, move) {
  const own = ownArm(trace);
  if (own !== null && (!keepTrace(own) || (state.hide && trace.uid.endsWith("-end")))) return null;
  if (!trace.ids) return trace;
  const parts = trace.ids.map((id) => id.split(":"));
  const kept = [...parts.keys()].filter((i) => keep(Number(parts[i][0])) && (parts[i].length < 2 || seedShown(parts[i][1])));
  if (!kept.length) return null;
  const pick = (value) => {
    if (Array.isArray(value)) return value.length === trace.ids.length ? kept.map((i) => value[i]) : value;
    return value && typeof value === "object" ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, pick(v)])) : value;
  };
  const picked = pick(trace);
  picked.y = picked.y.map((y, i) => (y === null ? y : y + move(Number(parts[kept[i]][0]))));
  return picked;
}

/** A figure as filters leave it: its traces, and the layout for this width without the rows that are gone. */
function filtered({ data, layout: { meta, ...wide } }, limit, only) {
  const layout = structuredClone(narrow.matches ? meta.narrow : wide);
  const best = shownArms().slice(0, topArms() || undefined);
  const rows = meta.rows.filter((arm) => best.includes(arm)).slice(0, limit);
  const arms = new Set(meta.rows.length ? rows : best);
  const isShown = (arm) => arms.has(arm);
  const before = new Map(meta.rows.map((arm, row) => [arm, row]));
  const after = new Map(rows.map((arm, row) => [arm, row]));
  const move = (arm) => (after.has(arm) ? after.get(arm) - before.get(arm) : 0);
  let traces = data.filter(({ uid }) => !(layout.showlegend && uid?.endsWith("-name"))) // names stand in for a legend
    .map((trace) => filterTrace(trace, only === undefined ? isShown : (arm) => arm === only, isShown, move));
  const group = (trace) => trace?.legendgroup !== undefined && ownArm(trace) !== null && trace.legendgroup;
  const [had, has] = [data, traces].map((list) => new Set(list.map(group)));
  traces = traces.filter((trace) => trace && !(trace.x?.[0] === null && had.has(trace.legendgroup) && !has.has(trace.legendgroup)));
  const gone = meta.rows.length - rows.length;
  if (gone) {
    const stays = meta.rows.map((arm) => after.has(arm));
    layout.annotations = (layout.annotations ?? []).filter(({ y }) => stays[Math.round(y)])
      .map((note) => ({ ...note, y: note.y + move(meta.rows[Math.round(note.y)]) }));
    let stripes = 0;
    layout.shapes = (layout.shapes ?? []).filter(({ name }) => name !== "stripe" || ++stripes <= Math.ceil(rows.length / 2));
    layout.yaxis.range[0] -= gone;
    layout.yaxis.tickvals = [...rows.keys()];
    layout.yaxis.ticktext = layout.yaxis.ticktext.filter((_, row) => stays[row]);
    layout.height -= gone * meta.row_height[narrow.matches ? "narrow" : "wide"];
    if (layout.legend?.y !== undefined) layout.legend.y = 1 + (layout.legend.y - 1) * meta.rows.length / Math.max(rows.length, 1); // as many pixels above
  }
  return { traces, layout, hidden: meta.rows.filter((arm) => best.includes(arm)).length - rows.length };
}

async function draw(holder) {
  const figure = drawn.get(holder) ?? JSON.parse(document.querySelector(`[data-figure="${holder.id}"]`).textContent);
  const limit = holder.dataset.top?.split(",")[Number(narrow.matches)];
  const { traces, layout, hidden } = filtered(figure, limit, chosenArm(holder, figure.layout.meta.choose));
  holder.style.minWidth = `${figure.layout.meta.min_width}px`;
  holder.style.minHeight = `${layout.height}px`;
  if (!drawn.has(holder)) holder.replaceChildren(); // a sketch of the answer, for as long as there is no plotly.js
  await plot(holder, traces, layout);
  if (!drawn.has(holder)) linkChart(holder);
  drawn.set(holder, figure);
  mark();
  holder.closest("figure").querySelector(".more")?.remove();
  const showAll = () => { delete holder.dataset.top; draw(holder); };
  if (hidden > 0) holder.parentElement.after(button(`Show ${hidden} more ${hidden === 1 ? "arm" : "arms"}`, showAll, { className: "more" }));
}

/** The arm that a chart of one arm at a time shows, as the reader chose it above; undefined for a chart of all. */
function chosenArm(holder, arms) {
  if (!arms.length) return undefined;
  let select = holder.closest("figure").querySelector("select");
  if (!select) {
    select = make("select", { onchange: () => draw(holder) }, ...arms.map(([value, textContent]) => make("option", { value, textContent })));
    holder.parentElement.before(make("label", {}, "Arm ", select));
  }
  return Number(select.value);
}

function plot(holder, traces, layout) {
  // On a touch screen a drag must scroll the page, not zoom the chart.
  return Plotly.react(holder, traces, { ...layout, template: template(), dragmode: narrow.matches ? false : "zoom" }, {
    displaylogo: false, responsive: true, displayModeBar: narrow.matches ? false : "hover", plotlyServerURL: "", showLink: false,
    modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d"], scrollZoom: false });
}

const painted = () => new Promise((then) => requestAnimationFrame(() => setTimeout(then)));
let queue = Promise.resolve(); // charts are drawn one after the other, and each is painted before the next

const seen = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => {
  if (!isIntersecting) return;
  seen.unobserve(target);
  queue = queue.then(() => { draw(target); return painted(); });
}), { rootMargin: "300px" });

const watchCharts = () => document.querySelectorAll("figure .chart").forEach((holder) => seen.observe(holder));
// What is folded away has no width; it is drawn anew once it is seen.
const redraw = () => drawn.forEach((_, holder) => { if (holder.checkVisibility()) draw(holder); else seen.observe(holder); });

const noCharts = () => document.querySelectorAll("figure .chart").forEach((holder) => {
  holder.textContent = "This chart needs the file plotly.min.js, which was written beside this page.";
});

// ---- marks: the arm that is pointed at, or those that were chosen, in all charts and tables

function linkChart(holder) {
  const when = (event, then) => holder.on(event, ({ points }) => { const id = idOf(points[0]); if (id !== null) then(...id.split(":")); });
  when("plotly_hover", (arm) => mark(new Set([Number(arm)])));
  when("plotly_click", openTrial);
  holder.on("plotly_unhover", () => mark());
}

/** The arm of a point, or `arm:seed`; null if it belongs to none. */
function idOf({ data, pointNumber }) {
  if (data.ids) return data.ids[pointNumber];
  const arm = ownArm(data) ?? (data.type === "heatmap" ? data.customdata[pointNumber[0]][pointNumber[1]] : null);
  return arm === null ? null : String(arm);
}

function mark(arms = state.arms ?? new Set()) {
  const dim = (element, arm) => element.classList.toggle("dim", !arms.has(arm));
  if (!arms.size) document.querySelectorAll(".chart .dim").forEach((element) => element.classList.remove("dim"));
  else drawn.forEach((_, holder) => holder.querySelectorAll(".trace").forEach((group) => {
    const trace = group.__data__?.[0]?.trace;
    const own = trace && ownArm(trace);
    const armAt = (index) => parseInt(trace.ids[index], 10);
    if (trace?.ids?.some((_, index) => armAt(index) !== own)) {
      group.querySelectorAll(".point").forEach((point) => dim(point, armAt(point.__data__.i)));
    } else if (own !== null && own !== undefined) dim(group, own);
  }));
  document.querySelectorAll("tr.marked").forEach((row) => row.classList.remove("marked"));
  arms.forEach((arm) => document.querySelectorAll(`tr[data-arm="${arm}"]`).forEach((row) => row.classList.add("marked")));
}

// ---- tables: sorted, searched, copied

const tables = [];

function prepareTable(table) {
  if (tables.includes(table)) return;
  tables.push(table);
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.replaceChildren(button(head.textContent, () => sortBy(table, column)));
  });
  [...table.tBodies[0].rows].forEach((row) => {
    const { arm, seed } = row.dataset;
    if (arm === undefined) return;
    row.cells[0].replaceChildren(button(row.cells[0].textContent, () => openTrial(arm, seed)));
    row.onmouseenter = () => mark(new Set([Number(arm)]));
    row.onmouseleave = () => mark();
  });
  const search = make("input", { type: "search", placeholder: "Search", ariaLabel: "Search this table" });
  search.oninput = () => { table.dataset.find = search.value.toLowerCase(); filterTable(table); };
  table.closest(".scroll").before(make("div", { className: "bar" }, search, copyButton("Copy as CSV", () => asCsv(table))));
  filterTable(table);
  mark();
}

function filterTable(table) {
  const arms = new Set(shownArms());
  for (const row of table.tBodies[0].rows) {
    const { arm, seed, failed } = row.dataset;
    row.hidden = (arm !== undefined && !arms.has(Number(arm))) || (seed !== undefined && !seedShown(seed))
      || (failed !== undefined && state.hide) || !row.textContent.toLowerCase().includes(table.dataset.find ?? "");
  }
}

/** What a cell sorts by: a number where it has one; null, which is last, where it has nothing. */
function keyOf({ dataset: { key }, textContent }) {
  if (key === undefined) return textContent.trim();
  return key === "" ? null : Number(key);
}

function sortBy(table, column, order) {
  const heads = [...table.tHead.rows[0].cells];
  const first = heads[column].classList.contains("num") ? "descending" : "ascending";
  const now = heads[column].ariaSort;
  const way = order ?? (now ? (now === "ascending" ? "descending" : "ascending") : first);
  heads.forEach((head) => head.removeAttribute("aria-sort"));
  heads[column].setAttribute("aria-sort", way);
  const compare = (a, b) => {
    if (a === null || b === null) return (a === null) - (b === null);
    const by = typeof a === "number" ? a - b : a.localeCompare(b, undefined, { numeric: true });
    return way === "ascending" ? by : -by;
  };
  const rows = [...table.tBodies[0].rows].map((row) => [keyOf(row.cells[column]), row]);
  table.tBodies[0].append(...rows.sort(([a], [b]) => compare(a, b)).map(([, row]) => row));
  if (table.id) { state.sort = `${column}:${way}`; writeAddress(); } // the table of arms
}

/** The rows that are shown, numbers raw; text that a spreadsheet would take for a formula is marked as text. */
function asCsv(table) {
  const text = (cell) => {
    const value = cell.dataset.key || [...cell.childNodes].filter(({ tagName }) => tagName !== "SMALL").map((n) => n.textContent).join("").trim();
    return `"${(/^[=+@\t-]/.test(value) && Number.isNaN(Number(value)) ? `'${value}` : value).replaceAll('"', '""')}"`;
  };
  return [...table.rows].filter((row) => !row.hidden).map((row) => [...row.cells].map(text).join(",")).join("\r\n");
}

// ---- the panel of a trial

let trials = null; // all about each trial; a file of its own, read when the first is opened
let waiting = [];

function showTrials(data) { // called by that file
  trials = data;
  waiting.splice(0).forEach((then) => then());
}

function withTrials(then) {
  if (trials) return then();
  waiting.push(then);
  if (waiting.length === 1) {
    document.head.append(make("script", { src: byId("filters").dataset.trials, onerror: () => { waiting = []; } }));
  }
}

const openTrial = (arm, seed) => withTrials(() => {
  const mine = trials.trials.filter((trial) => trial.arm === Number(arm));
  showTrial(mine.find((trial) => String(trial.seed) === seed) ?? mine.find(({ status }) => status === "ok") ?? mine[0]);
});

const pairs = (rows) => make("dl", { className: "pairs" }, ...rows.filter(([, value]) => value !== "").map(([name, value]) =>
  make("div", {}, make("dt", {}, name), make("dd", {}, value))));

function showTrial(trial) {
  if (!trial) return;
  const dialog = byId("trial");
  const { arm, fingerprint } = trial;
  const settings = { ...trials.shared, ...trials.arms[arm] };
  const fields = Object.entries(settings).filter(([name, value]) => name !== "data.name" && value !== "{}");
  const label = [...study.arms[arm][0]].slice(0, 200).join(""); // a question's file may hold no longer one
  const command = trials.again.replace("SEED", trial.seed)
    .replace("SETTINGS", () => fields.map((pair) => pair.join(": ")).join(", ")).replace("LABEL", () => JSON.stringify(label));
  const chart = make("div", { className: "chart" });
  const isMarked = () => String(state.arms?.has(arm) ?? false);
  const marked = button("Mark this arm everywhere", () => {
    const arms = new Set(state.arms);
    if (!arms.delete(arm)) arms.add(arm);
    state.arms = arms.size ? arms : null;
    marked.ariaPressed = isMarked();
    apply();
  }, { ariaPressed: isMarked() });
  const of = trials.trials.filter((other) => other.arm === arm);
  dialog.replaceChildren(
    make("h2", { id: "trial-title" }, study.arms[arm][0]),
    button("Close", () => dialog.close(), { className: "close" }),
    make("div", { className: "bar" }, ...of.map((other) => button(`${other.stage === "full" ? "" : `${other.stage}, `}seed ${other.seed}`,
      () => showTrial(other), { ariaPressed: String(other === trial) })), marked, copyButton("Copy link", () => location.href)),
    pairs([["status", trial.status], ["why", trial.reason], ...["validation", "test", "took", "started", "machine"].map((name) => [name, trial[name]]),
      ["fingerprint", fingerprint]]),
    chart,
    make("h3", {}, "Its settings"), pairs(Object.entries(trials.arms[arm])),
    make("details", {}, make("summary", {}, "Those that all arms share"), pairs(Object.entries(trials.shared))),
    make("h3", {}, "Train it again"), make("pre", { tabIndex: 0, textContent: command }), copyButton("Copy the command", () => command),
  );
  state.trial = fingerprint;
  writeAddress();
  if (!dialog.open) dialog.showModal();
  if (trial.curves[0]?.length) plotly?.then(() => chart.isConnected && drawTrial(chart, trial)); else chart.remove();
}

/** Train and validation curves of one trial: accuracy on the left, loss on the right. */
function drawTrial(chart, trial) {
  const axis = (domain, anchor, text, tickformat) => ({ domain, anchor, zeroline: false, tickformat, title: { text } });
  const traces = trials.curves.map((name, index) => {
    const [isVal, isLoss] = [name.startsWith("val"), name.endsWith("loss")];
    return { y: trial.curves[index], x0: 1, dx: 1, mode: "lines+markers", name: isVal ? "validation" : "train", showlegend: !isLoss,
      line: isVal ? { color: "#1f7fc0" } : { color: "#8b929c", dash: "4px,3px" }, ...(isLoss && { xaxis: "x2", yaxis: "y2" }) };
  });
  const clear = "rgba(0,0,0,0)";
  plot(chart, traces, { height: 250, margin: { l: 52, r: 12, t: 30, b: 40 }, paper_bgcolor: clear, plot_bgcolor: clear,
    xaxis: axis([0, 0.4], "y", "epoch"), xaxis2: axis([0.6, 1], "y2", "epoch"), yaxis: axis([0, 1], "x", "accuracy", "~%"),
    yaxis2: axis([0, 1], "x2", "loss"), legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" } });
}

// ---- start

/** Brings the page to the state that its address says. */
function follow() {
  readAddress();
  fillFilters();
  apply();
  const [column, way] = state.sort.split(":");
  if (byId("arms").tHead.rows[0].cells[column]) sortBy(byId("arms"), Number(column), way);
  if (state.only) byId("trials").open = true;
  if (state.trial) withTrials(() => showTrial(trials.trials.find(({ fingerprint }) => fingerprint.startsWith(state.trial))));
}

function startStudy() {
  study = JSON.parse(byId("arms-data").textContent);
  byId("filters").hidden = false;
  const source = byId("plotly"); // absent where there is no chart
  plotly = source && new Promise((onload, onerror) => (window.Plotly ? onload() : Object.assign(source, { onload, onerror })));
  readAddress();
  document.querySelectorAll("table.data").forEach((table) => {
    const around = table.closest("details");
    if (around.open || table.id) prepareTable(table); else around.addEventListener("toggle", () => prepareTable(table), { once: true });
  });
  byId("trial").addEventListener("close", () => { state.trial = ""; writeAddress(); byId("trial").replaceChildren(); });
  addEventListener("hashchange", () => { follow(); if (state.only) byId("trials").scrollIntoView(); });
  follow();
  plotly?.then(watchCharts, noCharts);
  for (const query of [narrow, dark]) query.addEventListener("change", redraw);
}

addEventListener("DOMContentLoaded", () => {
  byId("theme").hidden = false;
  byId("theme").onclick = () => setTheme(THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  byId("theme").textContent = `Theme: ${theme()}`;
  if (byId("arms-data")) startStudy();
  const soFar = document.querySelector("[data-reload-s]"); // a run is at work; not while someone reads about a trial
  if (soFar) setInterval(() => document.querySelector("dialog[open]") || location.reload(), soFar.dataset.reloadS * 1000);
});
// ---- paper: light, as narrow as a page of text, and with what the reader has not come to yet

function turn(isPaper) {
  root.classList.toggle("print", isPaper);
  root.dataset.theme = isPaper ? "light" : theme();
  if (window.Plotly) document.querySelectorAll("figure .chart").forEach((holder) => {
    if (!holder.checkVisibility()) return;
    if (drawn.delete(holder)) Plotly.purge(holder); // drawn over, it would keep its width
    draw(holder);
  });
}

addEventListener("beforeprint", () => turn(true));
addEventListener("afterprint", () => turn(false));

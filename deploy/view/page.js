// Draws what the server keeps. Texts are set as text, never as markup; nothing is stored.
"use strict";

const COLOURS = ["#2b6cb0", "#c05621", "#2f855a", "#b83280", "#6b46c1", "#b7791f", "#0987a0",
  "#c53030", "#4a5568", "#38a169", "#805ad5", "#d69e2e"];
const TRACES_MS = 2000;
const CHARTS_MS = 3000;
const WIDTH = 320, HEIGHT = 96;
const SVG = "http://www.w3.org/2000/svg";
const services = new Map();

const at = (id) => document.getElementById(id);
const colour = (number) => COLOURS[number % COLOURS.length];

function make(name, text, className) {
  const element = document.createElement(name);
  if (text !== undefined) element.textContent = text;
  if (className) element.className = className;
  return element;
}

function colourOf(service) {
  if (!services.has(service)) services.set(service, services.size);
  return colour(services.get(service));
}

function took(us) {
  if (us < 1000) return `${us} µs`;
  if (us < 1e6) return `${(us / 1000).toFixed(us < 1e4 ? 1 : 0)} ms`;
  return `${(us / 1e6).toFixed(us < 1e7 ? 2 : 0)} s`;
}

function clock(us) {
  const parts = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3 };
  return new Date(us / 1000).toLocaleTimeString([], { ...parts, hourCycle: "h23" });
}

function amount(value, unit) {
  if (value === null || value === undefined) return "–";
  if (unit === "bytes") return `${(value / 1048576).toFixed(0)} MiB`;
  if (unit === "s") return value < 1 ? `${(value * 1000).toFixed(1)} ms` : `${value.toFixed(2)} s`;
  return Math.abs(value) >= 100 ? Math.round(value).toLocaleString() : String(+value.toFixed(2));
}

async function ask(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  return answer.json();
}

// Traces.

async function listTraces() {
  if (at("hold").checked) return;
  const asked = new URLSearchParams();
  if (at("id").value.trim()) asked.set("id", at("id").value.trim());
  for (const name of ["errors", "asides"]) if (at(name).checked) asked.set(name, "");
  const found = await ask(`api/traces?${asked}`);
  at("kept").textContent = `${found.spans.toLocaleString()} spans kept`;
  at("traces").replaceChildren(...found.traces.map(traceRow));
  if (!found.traces.length) {
    const cell = make("td", "No traces yet. Post an event, and its way shows here.", "empty");
    cell.colSpan = 5;
    const row = make("tr");
    row.append(cell);
    at("traces").append(row);
  }
}

function traceRow(trace) {
  const row = make("tr", undefined, trace.errors ? "failed" : "");
  const opener = make("button", trace.name);
  opener.type = "button";
  opener.addEventListener("click", () => showTrace(trace.trace_id));
  const what = make("td");
  what.append(opener);
  row.append(make("td", clock(trace.began_us)), what, make("td", trace.services.join(" → ")),
    make("td", trace.spans, "number"), make("td", took(trace.duration_us), "number"));
  return row;
}

async function showTrace(traceId) {
  history.replaceState(null, "", `#${traceId}`); // a link to this trace, while it is kept
  const { spans } = await ask(`api/traces/${traceId}`);
  at("trace").hidden = !spans.length;
  if (!spans.length) return;
  const first = Math.min(...spans.map((span) => span.began_us));
  const last = Math.max(...spans.map((span) => span.ended_us));
  at("trace-title").textContent = `${traceId}: ${spans.length} spans, ${took(last - first)}`;
  at("spans").replaceChildren(...inOrder(spans).map((entry) => spanRow(entry, first, last)));
  at("span").replaceChildren();
}

function inOrder(spans) {
  const ids = new Set(spans.map((span) => span.span_id));
  const below = new Map();
  for (const span of spans) {
    const parent = ids.has(span.parent_id) ? span.parent_id : "";
    if (!below.has(parent)) below.set(parent, []);
    below.get(parent).push(span);
  }
  const ordered = [];
  const waiting = (below.get("") || []).map((span) => [span, 0]).reverse();
  while (waiting.length) {
    const [span, depth] = waiting.pop();
    ordered.push([span, depth]);
    for (const child of (below.get(span.span_id) || []).slice().reverse()) {
      waiting.push([child, depth + 1]);
    }
  }
  return ordered;
}

function spanRow([span, depth], first, last) {
  const row = make("div", undefined, "row");
  const name = make("span", span.name);
  name.style.paddingLeft = `${Math.min(depth, 20) * 0.7}rem`;
  if (span.about) name.append(" ", make("em", span.about));
  name.append(" ", make("small", span.service));
  const track = make("div", undefined, "track");
  const bar = make("button", undefined, span.error ? "bar failed" : "bar");
  const whole = Math.max(last - first, 1);
  const left = ((span.began_us - first) / whole) * 100;
  const width = ((span.ended_us - span.began_us) / whole) * 100;
  bar.type = "button";
  bar.style.left = `${Math.min(left, 99.5)}%`;
  bar.style.width = `${width}%`;
  bar.style.background = colourOf(span.service);
  bar.setAttribute("aria-label", `${span.name}, ${took(span.ended_us - span.began_us)}`);
  bar.addEventListener("click", () => showSpan(span));
  const label = make("span", took(span.ended_us - span.began_us), "took");
  if (left + width < 85) label.style.left = `calc(${left + width}% + 8px)`;
  else label.style.right = `calc(${100 - left}% + 6px)`;
  track.append(bar, label);
  row.append(name, track);
  return row;
}

function showSpan(span) {
  const told = [["span", `${span.name} (${span.kind})`], ["service", span.service],
    ["began", clock(span.began_us)], ["took", took(span.ended_us - span.began_us)]];
  if (span.error) told.push(["error", span.error]);
  told.push(...Object.entries(span.attributes));
  const links = [...new Set(span.links)].filter((link) => link !== span.trace_id);
  at("span").replaceChildren(...told.flatMap(([key, value]) => [make("dt", key),
    make("dd", String(value))]), ...links.flatMap(linkRow));
}

function linkRow(traceId) {
  const value = make("dd");
  const opener = make("button", traceId);
  opener.type = "button";
  opener.addEventListener("click", () => showTrace(traceId));
  value.append(opener);
  return [make("dt", "linked trace"), value];
}

// Metrics.

async function drawCharts() {
  const found = await ask("api/metrics");
  at("services").replaceChildren(...found.services.map((service) => {
    const item = make("li", undefined, service.up ? "up" : "");
    const link = make("a", service.name);
    link.href = `${service.url}/metrics`;
    link.title = service.up ? "its metrics as they are" : "does not answer";
    item.append(link);
    return item;
  }));
  at("charts").replaceChildren(...found.charts.filter((each) => each.lines.length).map(chartOf));
}

function chartOf(chart) {
  const figure = make("figure");
  const caption = make("figcaption", chart.title);
  const top = Math.max(0, ...chart.lines.flatMap((line) => line.points.map((each) => each[1] ?? 0)));
  caption.append(make("small", `${chart.how}, top ${amount(top, chart.unit)}`));
  figure.append(caption, drawing(chart), legend(chart));
  return figure;
}

function drawing(chart) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", chart.title);
  const points = chart.lines.flatMap((line) => line.points);
  const times = points.map((point) => point[0]);
  const from = Math.min(...times), to = Math.max(...times, from + 1);
  const top = Math.max(...points.map((point) => point[1] ?? 0), 1e-9);
  chart.lines.forEach((line, number) => {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", pathOf(line.points, from, to, top));
    path.setAttribute("fill", "none");
    path.setAttribute("stroke", colour(number));
    path.setAttribute("stroke-width", "1.5");
    path.setAttribute("vector-effect", "non-scaling-stroke");
    svg.append(path);
  });
  return svg;
}

function pathOf(points, from, to, top) {
  let pen = "M", path = "";
  for (const [time, value] of points) {
    if (value === null) { pen = "M"; continue; }
    const x = ((time - from) / (to - from)) * WIDTH;
    const y = HEIGHT - 2 - (Math.max(value, 0) / top) * (HEIGHT - 6);
    path += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  }
  return path;
}

function legend(chart) {
  const list = make("ul", undefined, "legend");
  chart.lines.forEach((line, number) => {
    const item = make("li");
    const mark = make("span", "■");
    mark.style.color = colour(number);
    const value = line.points.at(-1)?.[1];
    item.append(mark, make("span", line.name), make("b", amount(value, chart.unit)));
    list.append(item);
  });
  return list;
}

async function again(work, pause) {
  for (;;) {
    try {
      await work();
    } catch (error) {
      at("kept").textContent = "the page's server does not answer";
    }
    await new Promise((resolve) => { setTimeout(resolve, pause); });
  }
}

at("filter").addEventListener("input", () => listTraces());
at("filter").addEventListener("submit", (event) => event.preventDefault());
again(listTraces, TRACES_MS);
if (/^#[0-9a-f]{32}$/.test(location.hash)) showTrace(location.hash.slice(1));
again(drawCharts, CHARTS_MS);

"""Style and script that every page embeds: light and dark, cards, plots, a table that sorts."""

from __future__ import annotations

from stages.core.media.palette import AGREEMENT, EXTRA, MISSED, ORANGE, Colour


def css_colour(colour: Colour) -> str:
    """Write a colour as CSS does."""
    return "#{:02x}{:02x}{:02x}".format(*colour)


_COLOURS = f"""
:root {{ color-scheme: light dark; --ink: #1d2430; --soft: #566072; --line: #dde2ea;
  --back: #f6f7f9; --card: #fff; --head: #eef1f5; --bar: #7d94b5; --accent: #0067a3;
  --first: #0067a3; --second: #b34f00; --bad: #b3261e; --bad-back: #fdeceb; --bad-line: #f2c4c0;
  --agreement: {css_colour(AGREEMENT)}; --missed: {css_colour(MISSED)};
  --extra: {css_colour(EXTRA)}; --moment: {css_colour(ORANGE)}; }}
@media (prefers-color-scheme: dark) {{ :root {{ --ink: #e7eaf0; --soft: #a4adbb; --line: #343b48;
  --back: #14171c; --card: #1c2027; --head: #252b35; --bar: #6d87ad; --accent: #6cb6ee;
  --first: #6cb6ee; --second: #f0a060; --bad: #ffb4ab; --bad-back: #3b1d1b;
  --bad-line: #6d332f; }} }}
"""

STYLE = (
    _COLOURS
    + """
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 24px 24px 60px; }
h1 { font-size: 24px; margin: 0 0 2px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 32px 0 10px; }
p { margin: 4px 0 12px; color: var(--soft); overflow-wrap: anywhere; }
code { font: 13px ui-monospace, "DejaVu Sans Mono", monospace; }
a { color: var(--accent); }
.warn { background: var(--bad-back); color: var(--bad); border: 1px solid var(--bad-line);
  border-radius: 8px; padding: 10px 14px; margin: 14px 0; }
.cards { display: flex; flex-wrap: wrap; gap: 10px; margin-top: 14px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 8px 16px; min-width: 104px; }
.card b { display: block; font-size: 22px; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 13px; }
.card.main { background: var(--ink); color: var(--back); }
.card.main span { color: inherit; opacity: 0.8; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(370px, 1fr)); gap: 14px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px; overflow: hidden; align-self: start; }
figcaption { font-weight: 600; margin-bottom: 6px; }
svg { display: block; width: 100%; height: auto; }
.bar { fill: var(--bar); } .bar.now { fill: var(--ink); }
.axis { stroke: var(--soft); } .grid { stroke: var(--line); }
.tick { font-size: 11px; fill: var(--soft); } .name { font-size: 12px; fill: var(--soft); }
.line { fill: none; stroke-width: 2; stroke: var(--first); }
.line.second { stroke: var(--second); stroke-dasharray: 5 3; }
.mark { font-size: 12px; font-weight: 600; fill: var(--first); }
.mark.second { fill: var(--second); }
.moment { fill: var(--moment); }
.figures { color: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; }
.facts { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; margin: 12px 0 0;
  font-size: 13px; }
.facts dt { color: var(--soft); } .facts dd { margin: 0; overflow-wrap: anywhere; }
details summary { cursor: pointer; color: var(--soft); font-size: 13px; }
.scroll { overflow: auto; max-height: 640px; background: var(--card); border-radius: 8px;
  border: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 8px; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
thead th { position: sticky; top: 0; z-index: 1; background: var(--head); font-size: 13px;
  vertical-align: bottom; white-space: normal; }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid var(--accent); }
th.text, td.text { text-align: left; }
td.text { overflow-wrap: break-word; white-space: normal; max-width: 240px; }
td.long { min-width: 200px; max-width: none; overflow-wrap: anywhere; }
th[aria-sort=ascending] button::after { content: " \\25B2"; font-size: 10px; }
th[aria-sort=descending] button::after { content: " \\25BC"; font-size: 10px; }
.tables { display: flex; flex-wrap: wrap; gap: 14px; align-items: start; margin-bottom: 14px; }
.tables figure { flex: 1 1 370px; max-width: 440px; }
.plain { width: auto; background: var(--card); border: 1px solid var(--line); font-size: 14px; }
.plain th, .plain td { padding: 3px 12px; }
.plain td:first-child, .plain th:first-child { text-align: left; white-space: pre; }
input { font: inherit; color: inherit; background: var(--card); padding: 6px 10px;
  border: 1px solid var(--line); border-radius: 6px; width: 320px; max-width: 100%;
  margin-bottom: 10px; }
"""
)

TABLE_SCRIPT = """
"use strict";
const data = JSON.parse(document.getElementById("rows").textContent);
const body = document.querySelector("#scores tbody");
const heads = [...document.querySelectorAll("#scores th")];
const count = document.getElementById("count");
const box = document.getElementById("filter");
let order = data.columns.findIndex(c => c.key === data.order), down = false;
function shown(value, column) {
  if (value === null) return "-";
  if (column.kind === "share") return (100 * value).toFixed(1);
  if (column.kind === "coefficient") return value.toFixed(3);
  return String(value);
}
function compare(a, b) {
  const x = a[order], y = b[order];
  if (x === null || y === null) return (x === null) - (y === null);
  const text = data.columns[order].kind === "text";
  const way = text ? x.localeCompare(y, "en", {numeric: true}) : x - y;
  return down ? -way : way;
}
function fill(line, row) {
  row.slice(0, data.columns.length).forEach((value, i) => {
    const cell = document.createElement("td");
    cell.textContent = shown(value, data.columns[i]);
    if (data.columns[i].kind === "text") cell.className = "text";
    if (data.columns[i].key === "text") cell.className = "text long";
    line.appendChild(cell);
  });
  if (typeof opens === "function") opens(line, row);
}
function draw() {
  const word = box.value.trim().toLowerCase();
  const rows = data.rows.filter(r => !word ||
    data.columns.some((c, i) => c.kind === "text" && r[i].toLowerCase().includes(word)));
  rows.sort(compare);
  const part = document.createDocumentFragment();
  for (const row of rows) {
    const line = document.createElement("tr");
    fill(line, row);
    part.appendChild(line);
  }
  body.replaceChildren(part);
  count.textContent = rows.length + " of " + data.rows.length + " " + data.noun;
  heads.forEach((head, i) => head.setAttribute("aria-sort",
    i !== order ? "none" : down ? "descending" : "ascending"));
}
heads.forEach((head, i) => head.addEventListener("click", () => {
  down = order === i ? !down : false;
  order = i;
  draw();
}));
box.addEventListener("input", draw);
draw();
"""

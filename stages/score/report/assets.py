"""Style and script that the report embeds."""

from __future__ import annotations

STYLE = """
:root { --ink: #1d2430; --soft: #5b6677; --line: #dde2ea; --back: #f6f7f9; --card: #fff;
  --agreed: #0072b2; --missed: #e69f00; --extra: #cc79a7; --bad: #b3261e; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--ink);
  font: 15px/1.45 system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 28px 24px 60px; }
h1 { font-size: 24px; margin: 0 0 2px; }
h2 { font-size: 18px; margin: 36px 0 10px; }
p { margin: 4px 0 12px; color: var(--soft); }
.warn { background: #fdeceb; color: var(--bad); border: 1px solid #f2c4c0; border-radius: 8px;
  padding: 10px 14px; margin: 14px 0; }
.cards { display: flex; flex-wrap: wrap; gap: 10px; margin-top: 16px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 10px 16px; min-width: 104px; }
.card b { display: block; font-size: 24px; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: 13px; }
.card.main { background: var(--ink); color: #fff; } .card.main span { color: #c9d1de; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr)); gap: 14px; }
figure { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 12px 14px; overflow: hidden; }
figcaption { font-weight: 600; margin-bottom: 6px; }
svg { display: block; width: 100%; height: auto; }
.bar { fill: #7d94b5; } .bar.now { fill: var(--ink); }
.axis { stroke: var(--soft); } .grid { stroke: var(--line); }
.tick { font-size: 11px; fill: var(--soft); } .name { font-size: 12px; fill: var(--soft); }
.line { fill: none; stroke-width: 2; } .line.J { stroke: #0072b2; }
.line.F { stroke: #d55e00; stroke-dasharray: 5 3; }
.mark { font-size: 12px; font-weight: 600; } .mark.J { fill: #0072b2; } .mark.F { fill: #d55e00; }
.moment { fill: #e69f00; }
.cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 14px; }
.case img, .case .none { display: block; width: 100%; border-radius: 4px; background: #ebebeb; }
.case .none { padding: 40px 10px; text-align: center; color: var(--soft); }
.case .spark { height: 34px; margin-top: 6px; background: var(--back); }
.case .words { margin-top: 8px; overflow-wrap: anywhere; }
.case .figures { color: var(--soft); font-size: 13px; font-variant-numeric: tabular-nums; }
.key { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin: 0 4px 0 14px; }
.scroll { overflow: auto; max-height: 640px; background: var(--card); border-radius: 8px;
  border: 1px solid var(--line); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; text-align: right; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { position: sticky; top: 0; background: #eef1f5; cursor: pointer; user-select: none; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid #0072b2; }
th.text, td.text { text-align: left; }
td.long { white-space: normal; min-width: 220px; overflow-wrap: anywhere; }
th[aria-sort=ascending] button::after { content: " \\25B2"; font-size: 10px; }
th[aria-sort=descending] button::after { content: " \\25BC"; font-size: 10px; }
input { font: inherit; padding: 6px 10px; border: 1px solid var(--line); border-radius: 6px;
  width: 320px; max-width: 100%; margin-bottom: 10px; }
"""

SCRIPT = """
"use strict";
const data = JSON.parse(document.getElementById("rows").textContent);
const body = document.querySelector("#scores tbody");
const heads = [...document.querySelectorAll("#scores th")];
const count = document.getElementById("count");
const box = document.getElementById("filter");
let order = data.columns.findIndex(c => c.key === "JF"), down = false;
function shown(value, column) {
  if (value === null) return "-";
  if (column.kind === "share") return (100 * value).toFixed(1);
  return String(value);
}
function compare(a, b) {
  const x = a[order], y = b[order];
  if (x === null || y === null) return (x === null) - (y === null);
  const text = data.columns[order].kind === "text";
  const way = text ? x.localeCompare(y, "en", {numeric: true}) : x - y;
  return down ? -way : way;
}
function draw() {
  const word = box.value.trim().toLowerCase();
  const rows = data.rows.filter(r => !word ||
    r.some((v, i) => data.columns[i].kind === "text" && v.toLowerCase().includes(word)));
  rows.sort(compare);
  const part = document.createDocumentFragment();
  for (const row of rows) {
    const line = document.createElement("tr");
    row.forEach((value, i) => {
      const cell = document.createElement("td");
      cell.textContent = shown(value, data.columns[i]);
      if (data.columns[i].kind === "text") cell.className = "text";
      if (data.columns[i].key === "text") cell.className = "text long";
      line.appendChild(cell);
    });
    part.appendChild(line);
  }
  body.replaceChildren(part);
  count.textContent = rows.length + " of " + data.rows.length + " expressions";
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

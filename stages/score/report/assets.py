"""Style and script of the report, beside those of every page."""

from __future__ import annotations

STYLE = """
.cases { display: grid; grid-template-columns: repeat(auto-fill, minmax(250px, 1fr)); gap: 14px; }
.case img, .case .none { display: block; width: 100%; border-radius: 4px; background: #969696; }
.none { padding: 40px 10px; text-align: center; color: #1d2430; background: #c8ccd2; }
.case .spark { height: 34px; margin-top: 6px; background: var(--back); }
.case .words { margin-top: 8px; overflow-wrap: anywhere; }
.case .figures { overflow-wrap: anywhere; }
.key { display: inline-block; width: 14px; height: 14px; border-radius: 3px;
  margin-right: 4px; vertical-align: -2px; border: 1px solid var(--soft); }
.legend { white-space: nowrap; margin-right: 10px; }
.key.agreement { background: var(--agreement); } .key.extra { background: var(--extra); }
.key.missed { background: repeating-linear-gradient(135deg, var(--missed) 0 3px, #969696 3px 6px); }
.key.moment { background: var(--moment); height: 6px; vertical-align: 2px; }
.open { all: unset; cursor: pointer; color: var(--accent); }
.open:focus-visible { outline: 2px solid var(--accent); }
.detail > td { background: var(--back); text-align: left; white-space: normal; }
.strip { display: flex; flex-wrap: wrap; gap: 8px; }
.tile { width: 224px; font-size: 12px; color: var(--soft); }
.tile .stack { position: relative; border: 3px solid transparent; border-radius: 4px; }
.tile.worst .stack { border-color: var(--extra); }
.tile.worst b { color: var(--ink); }
.tile img { display: block; width: 100%; }
.tile img + img { position: absolute; inset: 0; }
.detail .spark { width: 100%; max-width: 1150px; height: 34px; margin: 6px 0; }
.detail code { user-select: all; overflow-wrap: anywhere; }
.view { font-size: 13px; color: var(--soft); }
.view input { width: 380px; margin: 0 0 6px; }
"""

SCRIPT = """
const extras = data.columns.length;
const address = document.getElementById("address");
const jpeg = "data:image/jpeg;base64,", png = "data:image/png;base64,";
function element(kind, name, text) {
  const made = document.createElement(kind);
  if (name) made.className = name;
  if (text !== undefined) made.textContent = text;
  return made;
}
function opens(line, row) {
  const cell = line.firstChild;
  const button = element("button", "open", cell.textContent);
  button.type = "button";
  button.setAttribute("aria-expanded", "false");
  cell.replaceChildren(button);
  line.style.cursor = "pointer";
  line.addEventListener("click", () => {
    const open = button.getAttribute("aria-expanded") === "true";
    button.setAttribute("aria-expanded", String(!open));
    if (open) line.nextSibling.remove(); else line.after(detail(row));
  });
}
function detail(row) {
  const line = element("tr", "detail"), cell = element("td");
  const [video, images, scores, relevant] = row.slice(extras);
  cell.colSpan = extras;
  if (images.length) {
    cell.append(strip(video, images), spark(scores, relevant, images));
  } else {
    cell.append(element("div", "figures", data.without));
  }
  cell.append(viewer(row, images));
  line.append(cell);
  return line;
}
function strip(video, images) {
  const all = element("div", "strip");
  for (const [place, name, j, inside, worst, masks] of images) {
    const tile = element("div", worst ? "tile worst" : "tile"), stack = element("div", "stack");
    for (const source of masks ? [jpeg + data.frames[video + ":" + place], png + masks] : []) {
      const image = element("img");
      image.alt = "";
      image.src = source;
      stack.append(image);
    }
    if (!masks) stack.append(element("div", "none", "no mask can be read"));
    const words = ["frame " + name, "J " + (100 * j).toFixed(1)];
    if (inside !== null) words.push(inside ? "relevant" : "irrelevant");
    tile.append(stack, element("span", "", words.join(", ")));
    if (worst) tile.append(" ", element("b", "", "worst"));
    all.append(tile);
  }
  return all;
}
function spark(scores, relevant, images) {
  const width = 1150, height = 34, strip = 5, space = "http://www.w3.org/2000/svg";
  const plot = document.createElementNS(space, "svg");
  plot.setAttribute("class", "spark");
  plot.setAttribute("viewBox", `0 0 ${width} ${height}`);
  plot.setAttribute("preserveAspectRatio", "none");
  const step = width / scores.length;
  const shown = new Set(images.map(image => image[6]));
  function box(kind, x, y, wide, high) {
    const made = document.createElementNS(space, "rect");
    const places = {x, y, width: wide, height: high};
    made.setAttribute("class", kind);
    for (const [name, value] of Object.entries(places)) made.setAttribute(name, value.toFixed(2));
    plot.append(made);
  }
  for (const [start, end] of relevant) box("moment", start * step, 0, (end - start) * step, strip);
  scores.forEach((score, i) => {
    const high = Math.max((height - strip - 1) * score / 100, 1);
    box(shown.has(i) ? "bar now" : "bar", i * step, height - high, Math.max(step - 0.5, 0.5), high);
  });
  return plot;
}
function viewer(row, images) {
  const worst = images.find(image => image[4]) ?? images[0];
  const key = data.key.map(i => encodeURIComponent(row[i])).join("/");
  const fragment = "#s=" + key + (worst ? "&t=" + worst[0] : "");
  const line = element("div", "view");
  const local = /^http:\\/\\/(127\\.0\\.0\\.1|localhost)(:\\d+)?\\//.test(address.value);
  if (local) {
    const link = element("a", "", "open in tgl view");
    link.href = address.value.split("#")[0] + fragment;
    link.target = "_blank";
    link.rel = "noopener";
    line.append(link);
  } else {
    line.append("in the browser: ", element("code", "", data.view), " and append ",
      element("code", "", fragment), " to its address");
  }
  return line;
}
"""

// The time axis with its lanes: layout, mouse and touch. What is drawn is in paint.js.

import { Axis } from "./axis.js";
import { Drag } from "./drag.js";
import { Painter, readTheme } from "./paint.js";
import { buildRows, GAP, heightOf } from "./rows.js";
import { clamp } from "./spans.js";
import { Clock } from "../player/clock.js";
import { referentColour } from "../player/colours.js";

const WHEEL_ZOOM = 0.0015;

export class Timeline {
  /** @param store, player, editor of the page; @param root the element that holds the timeline */
  constructor(root, store, player, editor) {
    Object.assign(this, { root, store, player, editor });
    this.axisCanvas = root.querySelector("#axis");
    this.lanesCanvas = root.querySelector("#lanes");
    this.labels = root.querySelector("#labels");
    this.axis = new Axis(new Clock(1, null));
    this.rows = [];
    this.painted = null; // the frame at the last painting: the view follows it when it changes
    this.preview = null; // {referent, spans} while an edge is dragged
    this.theme = readTheme();
    this.listen();
  }

  open(video) {
    this.axis = new Axis(video.clock);
    this.preview = null;
  }

  /** Rebuild the rows of the open sentence. */
  refresh() {
    const { state, session, videos } = this.store;
    this.rows = state ? buildRows(state, this.editor, session, videos[state.video]) : [];
    this.writeLabels();
    this.layout();
    this.scrollToCurrent();
  }

  /** Bring the lane of the current referent into view, where there are many. */
  scrollToCurrent() {
    const row = this.rows.find(({ current }) => current);
    const room = this.lanesCanvas.parentElement;
    if (!row || room.scrollHeight <= room.clientHeight) return;
    const low = row.top + row.height + GAP - room.clientHeight;
    room.scrollTop = clamp(room.scrollTop, low, row.top - GAP);
  }

  /** Adapt to the size of the window. */
  layout() {
    const height = heightOf(this.rows);
    this.axis.width = Math.max(
      1,
      this.lanesCanvas.parentElement.clientWidth - this.labels.offsetWidth,
    );
    resize(this.axisCanvas, this.axis.width, this.axisCanvas.parentElement.clientHeight);
    resize(this.lanesCanvas, this.axis.width, height);
    this.paint();
  }

  paint() {
    if (!this.store.state) return;
    if (this.player.shown !== this.painted) this.axis.reveal(this.player.shown ?? 0);
    this.painted = this.player.shown;
    const axis = new Painter(this.axisCanvas, this.axis, this.theme);
    axis.ticks();
    axis.loop(this.player.loop);
    axis.cursor(this.player.shown);
    const lanes = new Painter(this.lanesCanvas, this.axis, this.theme);
    for (const row of this.rows) lanes.row(row, this.editor, this.preview);
    lanes.cursor(this.player.shown);
  }

  zoom(factor) {
    this.axis.zoom(factor, this.player.shown ?? 0);
    this.paint();
  }

  /** The row at a height on the canvas of the lanes, undefined between rows. */
  rowAt(y) {
    return this.rows.find((row) => y >= row.top - 2 && y < row.top + row.height + 2);
  }

  listen() {
    new ResizeObserver(() => this.layout()).observe(this.root);
    new Drag(this);
    for (const canvas of [this.axisCanvas, this.lanesCanvas]) {
      canvas.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    }
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", () => {
      this.theme = readTheme();
      this.paint();
    });
  }

  /** Over the axis, or with Ctrl, zoom; sideways, or with Shift, move along the video. */
  wheel(event) {
    const sideways = event.deltaX || (event.shiftKey ? event.deltaY : 0);
    const zooming = event.ctrlKey || event.currentTarget === this.axisCanvas;
    if (sideways && this.axis.zoomed) this.axis.pan(sideways / this.axis.pixelsPerFrame);
    else if (zooming)
      this.axis.zoom(Math.exp(event.deltaY * WHEEL_ZOOM), this.axis.position(event.offsetX));
    else return;
    event.preventDefault();
    this.paint();
  }

  /** One label per row; those of lanes select the referent. */
  writeLabels() {
    const labels = this.rows.map((row) => {
      if (row.kind === "lane") return this.laneLabel(row);
      return row.kind === "source" ? this.sourceLabel(row) : span("plain", row.label);
    });
    labels.forEach((label, i) => {
      const row = this.rows[i];
      label.classList.add("lane-label", row.kind);
      label.style.top = `${row.top}px`;
      label.style.height = `${row.height}px`;
      label.title = row.title;
    });
    this.labels.replaceChildren(...labels);
    this.labels.style.height = `${heightOf(this.rows)}px`;
  }

  laneLabel(row) {
    const label = document.createElement("button");
    label.type = "button";
    label.setAttribute("aria-pressed", String(row.current));
    label.setAttribute("aria-label", row.title);
    const swatch = span("swatch", "");
    swatch.style.backgroundColor = referentColour(row.referent);
    const parts = [swatch, span("number", String(row.number)), span("name", row.label)];
    if (this.store.editable) parts.push(span("decision", row.decided ? "✓" : "?"));
    label.append(...parts);
    label.addEventListener("click", () => this.editor.select(row.referent));
    return label;
  }

  /** The name of a source accepts its spans. */
  sourceLabel(row) {
    const label = document.createElement("button");
    label.type = "button";
    label.setAttribute("aria-label", `Accept ${row.title}`);
    label.append(span("name", row.label));
    label.addEventListener("click", () => this.editor.acceptFrom(row.source, [row.referent]));
    return label;
  }
}

function span(name, text) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = text;
  return element;
}

function resize(canvas, width, height) {
  const ratio = window.devicePixelRatio || 1;
  const [backingWidth, backingHeight] = [
    Math.round(width * ratio),
    Math.max(1, Math.round(height * ratio)),
  ];
  if (canvas.width !== backingWidth || canvas.height !== backingHeight) {
    [canvas.width, canvas.height] = [backingWidth, backingHeight];
    canvas.style.width = `${width}px`;
    canvas.style.height = `${height}px`;
  }
}

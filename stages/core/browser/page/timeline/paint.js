// Drawing of the timeline: ticks, lanes, strips and curves, in the colours of the page.

import { AGREEMENT, EXTRA, MISSED } from "../player/colours.js";
import { BEST_FRAME } from "./rows.js";
import { clamp, normalise } from "./spans.js";

const HATCH = 6;
const LEAST_SPAN_PIXELS = 2;
const UNDER_MISSED = "#3a3a40"; // yellow alone is hard to see on white
const ROUTES = { language: "language", propagated: "propagated", prompted: "prompted" };

/** Colours of the page, read again when the theme changes. */
export function readTheme() {
  const style = getComputedStyle(document.documentElement);
  const names = [
    "text",
    "muted",
    "lane",
    "visible",
    "own",
    "proposal",
    "cursor",
    "rule",
    "current",
    "panel",
  ];
  return Object.fromEntries(
    names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
  );
}

/** Draws on one canvas with an axis; lengths are CSS pixels. */
export class Painter {
  constructor(canvas, axis, theme) {
    this.context = canvas.getContext("2d");
    this.axis = axis;
    this.theme = theme;
    const ratio = window.devicePixelRatio || 1;
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.height = canvas.height / ratio;
    this.context.clearRect(0, 0, axis.width, this.height);
    this.context.font = "11px system-ui, sans-serif";
  }

  /** Frames above, seconds below where the rate is known. */
  ticks() {
    const { context, axis, theme } = this;
    context.textAlign = "left";
    context.textBaseline = "alphabetic";
    const middle = axis.clock.known ? this.height / 2 : this.height;
    this.tickRow(axis.frameTicks(), 0, middle, theme.text);
    if (axis.clock.known) this.tickRow(axis.secondTicks(), middle, this.height, theme.muted);
  }

  tickRow(ticks, top, bottom, colour) {
    const { context, axis, theme } = this;
    for (const [frame, label] of ticks) {
      const x = Math.round(axis.x(frame)) + 0.5;
      context.strokeStyle = theme.rule;
      this.line(x, top + 3, x, bottom);
      context.fillStyle = colour;
      if (x + 4 + context.measureText(label).width < axis.width)
        context.fillText(label, x + 4, bottom - 4);
    }
  }

  /** The cell of the frame that is shown. */
  cursor(frame) {
    if (frame === null) return;
    const { context, axis, theme } = this;
    const [left, right] = [axis.x(frame), axis.x(frame + 1)];
    const middle = Math.round((left + right) / 2);
    if (right - left > 6) {
      context.fillStyle = theme.cursor;
      context.globalAlpha = 0.15;
      context.fillRect(left, 0, right - left, this.height);
      context.globalAlpha = 1;
    }
    context.fillStyle = theme.panel;
    context.fillRect(middle - 2, 0, 4, this.height);
    context.fillStyle = theme.cursor;
    context.fillRect(middle - 1, 0, 2, this.height);
  }

  /** Darken the frames outside a loop. */
  loop(span) {
    if (!span) return;
    const { context, axis, theme } = this;
    context.fillStyle = theme.cursor;
    const y = this.height - 3;
    context.fillRect(axis.x(span[0]), y, axis.x(span[1]) - axis.x(span[0]), 3);
  }

  row(row, editor, preview) {
    this.background(row);
    if (row.kind === "lane") this.lane(row, editor, preview);
    else if (row.kind === "route") this.route(row);
    else if (row.kind === "curve") this.curve(row);
    else if (row.kind === "present") this.present(row);
    else this.strip(row);
  }

  background(row) {
    const { context, axis, theme } = this;
    context.fillStyle = theme.lane;
    context.fillRect(axis.x(0), row.top, axis.x(axis.count) - axis.x(0), row.height);
    if (!row.current) return;
    context.strokeStyle = theme.current;
    context.lineWidth = 1.5;
    context.strokeRect(axis.x(0), row.top - 0.5, axis.x(axis.count) - axis.x(0), row.height + 1);
    context.lineWidth = 1;
  }

  lane(row, editor, preview) {
    const { theme } = this;
    for (const span of row.visible) this.fillSpan(span, row.top, row.height, theme.visible);
    const mine = preview?.referent === row.referent;
    const spans = mine ? preview.spans : row.spans;
    const decided = mine || row.decided;
    for (const span of spans) {
      if (decided) this.fillSpan(span, row.top + 4, row.height - 8, theme.own);
      else this.hatchSpan(span, row.top + 4, row.height - 8, theme.proposal);
    }
    if (row.before)
      for (const span of row.before) this.dashSpan(span, row.top + row.height - 2, theme.proposal);
    if (!spans.length) this.note(row, mine ? "never" : row.empty);
    if (row.current) this.selection(row, editor, spans);
  }

  /** The selected edge, a span that was begun, and frames being marked. */
  selection(row, editor, spans) {
    const { context, axis, theme } = this;
    const { edge, pending, sweep } = editor;
    if (edge && spans[edge.span]) {
      const x = axis.x(spans[edge.span][edge.side]);
      context.fillStyle = theme.cursor;
      context.fillRect(x - 2, row.top, 4, row.height);
      context.fillRect(edge.side ? x - 7 : x, row.top, 7, 3);
      context.fillRect(edge.side ? x - 7 : x, row.top + row.height - 3, 7, 3);
    }
    if (pending) {
      context.fillStyle = theme.cursor;
      context.font = "bold 16px system-ui, sans-serif";
      context.textAlign = pending.side ? "right" : "left";
      const x = axis.x(pending.frame + pending.side);
      context.fillText(pending.side ? "]" : "[", x, row.top + row.height - 8);
      context.font = "11px system-ui, sans-serif";
    }
    if (sweep) {
      const span = [sweep.from, sweep.to + 1];
      this.fillSpan(span, row.top + 2, row.height - 4, sweep.add ? theme.own : theme.lane);
      this.frameSpan(span, row.top + 2, row.height - 4, theme.cursor);
    }
  }

  strip(row) {
    const { theme } = this;
    for (const span of row.spans) {
      if (row.kind === "source" || row.proposed)
        this.hatchSpan(span, row.top + 3, row.height - 6, theme.proposal);
      else this.fillSpan(span, row.top + 4, row.height - 8, theme.muted);
    }
  }

  /** Frames with a mask: agreeing with the truth, missed (hatched) or extra. */
  present(row) {
    if (!row.truth) {
      for (const span of row.spans) this.fillSpan(span, row.top + 3, row.height - 6, AGREEMENT);
      if (row.empty) this.note(row, row.empty);
      return;
    }
    const kinds = presence(row.spans, row.truth, this.axis.count);
    for (const [start, end, kind] of kinds) {
      const colour = { both: AGREEMENT, missed: MISSED, extra: EXTRA }[kind];
      if (kind === "missed") this.fillSpan([start, end], row.top + 3, row.height - 6, UNDER_MISSED);
      if (kind === "missed") this.hatchSpan([start, end], row.top + 3, row.height - 6, colour);
      else this.fillSpan([start, end], row.top + 3, row.height - 6, colour);
    }
    if (row.empty) this.note(row, row.empty);
  }

  route(row) {
    const { theme } = this;
    for (const [start, end, name] of stretches(row.route)) {
      const box = [[start, end], row.top + 2, row.height - 4];
      if (name === ROUTES.language || name === ROUTES.prompted) this.fillSpan(...box, theme.own);
      else if (name === BEST_FRAME) this.fillSpan(...box, theme.cursor);
      else if (name === ROUTES.propagated) this.hatchSpan(...box, theme.own);
      else if (name) this.frameSpan(...box, theme.rule);
    }
  }

  /** Values from 0 to 1; frames without one leave a gap. */
  curve(row) {
    const { context, axis, theme } = this;
    const y = (value) => row.top + row.height - 3 - clamp(value, 0, 1) * (row.height - 6);
    context.strokeStyle = theme.rule;
    context.setLineDash([2, 4]);
    this.line(axis.x(0), Math.round(y(0.5)) + 0.5, axis.x(axis.count), Math.round(y(0.5)) + 0.5);
    context.setLineDash([]);
    context.strokeStyle = theme.text;
    context.lineWidth = 1.5;
    context.beginPath();
    let down = false;
    row.values.forEach((value, frame) => {
      const known = value !== null && frame + 1 > axis.from && frame < axis.to;
      if (known) context[down ? "lineTo" : "moveTo"](axis.x(frame + 0.5), y(value));
      down = known;
    });
    context.stroke();
    context.lineWidth = 1;
  }

  /** Words in the middle of a row, readable on what is drawn there. */
  note(row, text) {
    const { context, axis, theme } = this;
    const half = context.measureText(text).width / 2 + 4;
    context.fillStyle = theme.lane;
    context.fillRect(axis.width / 2 - half, row.top + 1, 2 * half, row.height - 2);
    context.fillStyle = theme.text;
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillText(text, axis.width / 2, row.top + row.height / 2 + 0.5);
    context.textBaseline = "alphabetic";
  }

  box([start, end]) {
    const left = this.axis.x(start);
    return [left, Math.max(LEAST_SPAN_PIXELS, this.axis.x(end) - left)];
  }

  fillSpan(span, top, height, colour) {
    const [left, width] = this.box(span);
    this.context.fillStyle = colour;
    this.context.fillRect(left, top, width, height);
  }

  frameSpan(span, top, height, colour) {
    const [left, width] = this.box(span);
    this.context.strokeStyle = colour;
    this.context.strokeRect(left + 0.5, top + 0.5, Math.max(1, width - 1), height - 1);
  }

  hatchSpan(span, top, height, colour) {
    const { context } = this;
    const [left, width] = this.box(span);
    context.save();
    context.beginPath();
    context.rect(left, top, width, height);
    context.clip();
    context.strokeStyle = colour;
    context.lineWidth = HATCH / 3;
    context.beginPath();
    const from = Math.max(left, -HATCH) - height;
    for (let x = from - (from % HATCH); x < Math.min(left + width, this.axis.width); x += HATCH) {
      context.moveTo(x, top + height);
      context.lineTo(x + height, top);
    }
    context.stroke();
    context.restore();
    context.setLineDash([4, 2]);
    this.frameSpan(span, top, height, colour);
    context.setLineDash([]);
  }

  dashSpan(span, y, colour) {
    const [left, width] = this.box(span);
    this.context.strokeStyle = colour;
    this.context.setLineDash([4, 2]);
    this.line(left, y, left + width, y);
    this.context.setLineDash([]);
  }

  line(x, y, toX, toY) {
    this.context.beginPath();
    this.context.moveTo(x, y);
    this.context.lineTo(toX, toY);
    this.context.stroke();
  }
}

/** [[start, end, "both" | "missed" | "extra"], ...] of predicted and true spans. */
export function presence(predicted, truth, count) {
  const kinds = new Array(count).fill(null);
  for (const [s, e] of normalise(truth)) kinds.fill("missed", s, e);
  for (const [s, e] of normalise(predicted)) {
    for (let t = s; t < e; t++) kinds[t] = kinds[t] === "missed" ? "both" : "extra";
  }
  return stretches(kinds).filter(([, , kind]) => kind);
}

/** [[start, end, value], ...] of equal neighbours. */
export function stretches(values) {
  const found = [];
  values.forEach((value, at) => {
    const last = found.at(-1);
    if (last && last[2] === value) last[1] = at + 1;
    else found.push([at, at + 1, value]);
  });
  return found;
}

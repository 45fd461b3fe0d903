// Mouse and touch on the timeline: scrub, move edges and whole spans, draw new ones.

import * as spans from "./spans.js";

const GRIP = { mouse: 6, pen: 10, touch: 18 };
const LEAST_MOVE = 4;

export class Drag {
  constructor(timeline) {
    this.timeline = timeline;
    this.grabbed = null;
    for (const canvas of [timeline.axisCanvas, timeline.lanesCanvas]) {
      canvas.addEventListener("pointerdown", (event) => this.down(event));
      canvas.addEventListener("pointermove", (event) => this.move(event));
      canvas.addEventListener("pointerup", (event) => this.up(event));
      canvas.addEventListener("pointercancel", () => this.cancel());
    }
  }

  get editor() {
    return this.timeline.editor;
  }

  get player() {
    return this.timeline.player;
  }

  down(event) {
    if (event.button !== 0 || !this.timeline.store.state) return;
    event.currentTarget.setPointerCapture(event.pointerId);
    this.player.pause();
    const row =
      event.currentTarget === this.timeline.lanesCanvas ? this.timeline.rowAt(event.offsetY) : null;
    this.grabbed = this.grab(row, event);
    if (this.grabbed.kind === "scrub") this.player.seek(this.timeline.axis.frameAt(event.offsetX));
  }

  /** Decide by the place of the pointer what moves with it. */
  grab(row, event) {
    const { axis, store } = this.timeline;
    const grabbed = {
      kind: "scrub",
      x: event.offsetX,
      frame: axis.frameAt(event.offsetX),
      moved: false,
    };
    if (row?.kind !== "lane") return grabbed;
    this.editor.select(row.referent);
    if (!store.editable || store.undoing) return grabbed;
    const base = this.editor.lane(row.referent).spans;
    const edge = edgeNear(base, axis, event.offsetX, GRIP[event.pointerType] ?? GRIP.mouse);
    const span = spans.spanAt(base, grabbed.frame);
    const kind = edge ? "edge" : span >= 0 ? "span" : "draw";
    if (edge) this.editor.edge = edge;
    return { ...grabbed, kind, edge, span, referent: row.referent, base, n: store.open };
  }

  move(event) {
    if (!this.grabbed) return this.hover(event);
    const { grabbed } = this;
    const frame = this.timeline.axis.frameAt(event.offsetX);
    if (grabbed.kind === "scrub") return this.player.seek(frame);
    if (!grabbed.moved && Math.abs(event.offsetX - grabbed.x) < LEAST_MOVE) return;
    grabbed.moved = true;
    const edited = this.edited(event.offsetX, frame);
    this.timeline.preview = { referent: grabbed.referent, spans: edited };
    this.player.seek(this.follow(edited, frame));
    this.timeline.paint();
  }

  /** The spans of the lane with the pointer at x. */
  edited(x, frame) {
    const { axis } = this.timeline;
    const { kind, base, edge, span } = this.grabbed;
    if (kind === "edge") {
      const boundary = Math.round(axis.position(x));
      return spans.moveEdge(base, edge, edge.side ? boundary - 1 : boundary, axis.count);
    }
    if (kind === "span") return spans.moveSpan(base, span, frame - this.grabbed.frame, axis.count);
    const [start, end] = [Math.min(frame, this.grabbed.frame), Math.max(frame, this.grabbed.frame)];
    return spans.union(base, [[start, end + 1]]);
  }

  /** The frame to show: the edge that moves, else the frame under the pointer. */
  follow(edited, frame) {
    const { kind, edge } = this.grabbed;
    return kind === "edge" ? edited[edge.span][edge.side] - edge.side : frame;
  }

  up(event) {
    const { grabbed } = this;
    const preview = this.timeline.preview;
    this.cancel();
    if (!grabbed || grabbed.kind === "scrub") return;
    if (!grabbed.moved) this.player.seek(this.timeline.axis.frameAt(event.offsetX));
    else if (preview && grabbed.n === this.timeline.store.open)
      this.editor.edit(grabbed.referent, preview.spans);
  }

  cancel() {
    this.grabbed = null;
    this.timeline.preview = null;
    this.timeline.paint();
  }

  /** Show by the pointer's form what a drag would do. */
  hover(event) {
    const canvas = event.currentTarget;
    const row = canvas === this.timeline.lanesCanvas ? this.timeline.rowAt(event.offsetY) : null;
    canvas.style.cursor = this.cursor(row, event.offsetX);
  }

  cursor(row, x) {
    const { axis, store } = this.timeline;
    if (row?.kind !== "lane" || !store.editable) return "pointer";
    const base = this.editor.lane(row.referent).spans;
    if (edgeNear(base, axis, x, GRIP.mouse)) return "ew-resize";
    return spans.contains(base, axis.frameAt(x)) ? "grab" : "crosshair";
  }
}

/** The edge {span, side} within `grip` pixels of x, the nearest one; null if none is. */
function edgeNear(base, axis, x, grip) {
  let best = null;
  base.forEach((pair, span) => {
    for (const side of [0, 1]) {
      const distance = Math.abs(axis.x(pair[side]) - x);
      if (distance <= grip && (!best || distance < best.distance)) best = { span, side, distance };
    }
  });
  return best && { span: best.span, side: best.side };
}

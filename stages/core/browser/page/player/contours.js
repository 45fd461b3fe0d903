// Outlines of a mask: closed loops along the edges of its pixels, so that it can be drawn at any size.

/**
 * Trace the boundary of a mask.
 *
 * @param mask runs of ones, column-major (see rle.js)
 * @param height of the mask in pixels
 * @returns loops, each a flat array [x, y, x, y, ...] of corners in pixels; outer ones run clockwise
 */
export function traceLoops(mask, height) {
  const edges = new Edges(height + 1);
  let before = [];
  let column = -1;
  for (const [x, spans] of columns(mask, height)) {
    if (x !== column + 1) {
      addSides(edges, column + 1, before, []);
      before = [];
    }
    addSides(edges, x, before, spans);
    for (const [top, bottom] of spans) {
      edges.add(x, top, x + 1, top);
      edges.add(x + 1, bottom, x, bottom);
    }
    before = spans;
    column = x;
  }
  addSides(edges, column + 1, before, []);
  return edges.loops();
}

/** The path of the loops, to be filled with the rule "evenodd" or stroked. */
export function loopsPath(loops) {
  const path = new Path2D();
  for (const loop of loops) {
    path.moveTo(loop[0], loop[1]);
    for (let i = 2; i < loop.length; i += 2) path.lineTo(loop[i], loop[i + 1]);
    path.closePath();
  }
  return path;
}

/** [left, top, right, bottom] of the loops in pixels, null without any. */
export function boundingBox(loops) {
  if (!loops.length) return null;
  const box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const loop of loops) {
    for (let i = 0; i < loop.length; i += 2) {
      box[0] = Math.min(box[0], loop[i]);
      box[1] = Math.min(box[1], loop[i + 1]);
      box[2] = Math.max(box[2], loop[i]);
      box[3] = Math.max(box[3], loop[i + 1]);
    }
  }
  return box;
}

/** Yield [x, [[top, bottom], ...]] for every column that the mask touches. */
function* columns(mask, height) {
  let x = -1;
  let spans = [];
  for (let i = 0; i < mask.length; i += 2) {
    for (let start = mask[i]; start < mask[i + 1];) {
      const column = Math.floor(start / height);
      const end = Math.min(mask[i + 1], (column + 1) * height);
      if (column !== x) {
        if (spans.length) yield [x, spans];
        [x, spans] = [column, []];
      }
      spans.push([start - column * height, end - column * height]);
      start = end;
    }
  }
  if (spans.length) yield [x, spans];
}

/** Add the vertical edges between the column left of x (`before`) and the column x (`after`). */
function addSides(edges, x, before, after) {
  const cuts = [];
  for (const [top, bottom] of before) cuts.push([top, 1], [bottom, -1]);
  for (const [top, bottom] of after) cuts.push([top, -1], [bottom, 1]);
  cuts.sort((a, b) => a[0] - b[0]);
  let side = 0; // 1: only the left column is in the mask, -1: only the right one
  for (let i = 0; i < cuts.length; i++) {
    side += cuts[i][1];
    if (side === 0 || i + 1 === cuts.length || cuts[i][0] === cuts[i + 1][0]) continue;
    if (side > 0) edges.add(x, cuts[i][0], x, cuts[i + 1][0]);
    else edges.add(x, cuts[i + 1][0], x, cuts[i][0]);
  }
}

/** Directed edges between corners, at most two from each corner. */
class Edges {
  constructor(rows) {
    this.rows = rows;
    this.first = new Map();
    this.second = new Map();
  }

  add(x, y, toX, toY) {
    const from = x * this.rows + y;
    const to = toX * this.rows + toY;
    (this.first.has(from) ? this.second : this.first).set(from, to);
  }

  /** Take every edge once and join them to loops. */
  loops() {
    const loops = [];
    for (const edges of [this.first, this.second]) {
      for (const start of edges.keys()) {
        while (edges.has(start)) loops.push(this.follow(start));
      }
    }
    return loops;
  }

  follow(start) {
    const corners = [];
    let at = start;
    do {
      corners.push(at);
      at = this.take(at);
    } while (at !== start);
    return this.straighten(corners);
  }

  take(from) {
    const edges = this.second.has(from) ? this.second : this.first;
    const to = edges.get(from);
    edges.delete(from);
    return to;
  }

  /** Leave out corners at which the outline goes straight on; return coordinates. */
  straighten(corners) {
    const points = [];
    const { rows } = this;
    for (let i = 0; i < corners.length; i++) {
      const last = corners[(i + corners.length - 1) % corners.length];
      const at = corners[i];
      const next = corners[(i + 1) % corners.length];
      const x = Math.floor(at / rows);
      const upright = Math.floor(last / rows) === x && Math.floor(next / rows) === x;
      const level = last % rows === at % rows && next % rows === at % rows;
      if (!upright && !level) points.push(x, at % rows);
    }
    return points;
  }
}

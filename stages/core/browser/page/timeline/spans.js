// Sets of frames as spans: sorted half-open pairs [start, end] that do not touch.

/** Sort spans and join those that touch or overlap; empty ones go. */
export function normalise(spans) {
  const sorted = spans.filter(([s, e]) => e > s).sort((a, b) => a[0] - b[0]);
  const joined = [];
  for (const [start, end] of sorted) {
    const last = joined[joined.length - 1];
    if (last && start <= last[1]) last[1] = Math.max(last[1], end);
    else joined.push([start, end]);
  }
  return joined;
}

export function union(...sets) {
  return normalise(sets.flat().map((span) => [...span]));
}

export function without(spans, [start, end]) {
  return normalise(
    spans.flatMap(([s, e]) => [
      [s, Math.min(e, start)],
      [Math.max(s, end), e],
    ]),
  );
}

/** Position of the span that holds a frame, -1 if none does. */
export function spanAt(spans, frame) {
  return spans.findIndex(([s, e]) => s <= frame && frame < e);
}

export function contains(spans, frame) {
  return spanAt(spans, frame) >= 0;
}

export function equal(a, b) {
  return a.length === b.length && a.every(([s, e], i) => s === b[i][0] && e === b[i][1]);
}

/** Edges in order: {span, side: 0 start or 1 end, frame: the first or last frame inside}. */
export function edges(spans) {
  return spans.flatMap(([s, e], span) => [
    { span, side: 0, frame: s },
    { span, side: 1, frame: e - 1 },
  ]);
}

/** Move an edge so that `frame` is the first (side 0) or last (side 1) frame inside the span.
 *  It stops where the span would become empty, at its neighbours and at the video's ends. */
export function moveEdge(spans, { span, side }, frame, count) {
  const moved = spans.map((pair) => [...pair]);
  const pair = moved[span];
  const before = span > 0 ? spans[span - 1][1] + 1 : 0;
  const after = span + 1 < spans.length ? spans[span + 1][0] - 1 : count;
  if (side === 0) pair[0] = clamp(frame, before, pair[1] - 1);
  else pair[1] = clamp(frame + 1, pair[0] + 1, after);
  return moved;
}

/** Move a whole span by frames, as far as its neighbours and the video's ends allow. */
export function moveSpan(spans, span, by, count) {
  const moved = spans.map((pair) => [...pair]);
  const [start, end] = spans[span];
  const before = span > 0 ? spans[span - 1][1] + 1 : 0;
  const after = span + 1 < spans.length ? spans[span + 1][0] - 1 : count;
  const step = clamp(by, before - start, after - end);
  moved[span] = [start + step, end + step];
  return moved;
}

/** Words for a screen reader and for tooltips; the last frame is inside. */
export function describe(spans) {
  if (!spans.length) return "never";
  return spans.map(([s, e]) => (e - s === 1 ? `frame ${s}` : `frames ${s} to ${e - 1}`)).join(", ");
}

export function clamp(value, low, high) {
  return Math.min(Math.max(value, low), Math.max(low, high));
}

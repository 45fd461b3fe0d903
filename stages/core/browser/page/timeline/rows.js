// The rows of the timeline: which lanes and curves the open sentence has, and what each one shows.

import { describe, union } from "./spans.js";

export const HEIGHTS = { all: 16, lane: 26, source: 14, present: 18, route: 14, curve: 40 };
export const GAP = 4;
const LETTERS = "AB";
/** The route of the frame that stands in for a moment, where none was predicted. */
export const BEST_FRAME = "best frame";

/**
 * Rows from top to bottom: {kind, height, top, label, title, ...}.
 *
 * `all`, `lane` and `source` rows have `spans`; `lane` rows also `referent`, `visible`, `decided` and
 * `proposed`; `present`, `route` and `curve` rows belong to a `prediction`.
 *
 * @param state of the open sentence
 * @param editor editor.js
 * @param session of the server
 * @param video its name
 */
export function buildRows(state, editor, session, video) {
  const rows = [];
  const lanes = state.referents.map((_, r) => editor.lane(r));
  if (lanes.length > 1) rows.push(unionRow(lanes));
  state.referents.forEach((_, r) => {
    rows.push(laneRow(state, r, lanes[r], editor.referent === r, session, video));
    rows.push(...sourceRows(state, r, session));
  });
  // As the scorer compares: the masks of all referents, inside and outside of their moments.
  const truth =
    state.truth === false ? null : union(...state.referents.map((one) => one.visible ?? []));
  (state.predictions ?? []).forEach((prediction, p) => {
    const names = session.predictions.map((one) => one.name);
    rows.push(
      ...predictionRows(prediction, names[p], shortName(names[p], names), truth).map((row) => ({
        ...row,
        prediction: p,
      })),
    );
  });
  let top = GAP;
  for (const row of rows) {
    row.height = HEIGHTS[row.kind];
    row.top = top;
    top += row.height + GAP;
  }
  return rows;
}

/** Height of the rows in pixels. */
export function heightOf(rows) {
  return rows.length ? rows.at(-1).top + rows.at(-1).height + GAP : 0;
}

/** The end of a path that tells it from the others, for a narrow column. */
export function shortName(name, others) {
  const parts = name.split(/[/\\]/).filter(Boolean);
  const tail = (of, length) => of.split(/[/\\]/).filter(Boolean).slice(-length).join("/");
  let length = 1;
  const taken = () =>
    others.some((other) => other !== name && tail(other, length) === tail(name, length));
  while (length < parts.length && taken()) length += 1;
  return tail(name, length) || name;
}

/** Name of a referent for people: "object 3", or "sentence" where there are none. */
function referentName({ id }) {
  return id === null ? "sentence" : `object ${id}`;
}

/** The same for a narrow column: without the video's name, which many data sets put before it. */
function shortReferentName({ id }, video) {
  const known = id?.startsWith(video) && /^[_/-]./.test(id.slice(video.length));
  return known ? `object ${id.slice(video.length + 1)}` : referentName({ id });
}

function unionRow(lanes) {
  const spans = union(...lanes.map((lane) => lane.spans));
  const proposed = lanes.some((lane) => !lane.decided);
  return { kind: "all", label: "all", title: `All referents: ${describe(spans)}`, spans, proposed };
}

function laneRow(state, r, lane, current, session, video) {
  const referent = state.referents[r];
  const words = laneWords(lane, session.mode === "view", state.truth && referent.id === null);
  return {
    kind: "lane",
    label: shortReferentName(referent, video),
    number: r + 1,
    title: `Referent ${r + 1}, ${referentName(referent)}: ${words}`,
    referent: r,
    current,
    spans: lane.spans,
    decided: lane.decided,
    empty: lane.spans.length ? "" : words,
    visible: referent.visible ?? [],
    before: lane.decided ? firstProposal(state, r, session) : null,
  };
}

function laneWords(lane, viewing, untargeted) {
  if (lane.decided) return describe(lane.spans);
  if (viewing && untargeted) return "no target";
  if (lane.source) return `proposed: ${describe(lane.spans)}`;
  return viewing ? "moments unknown" : "not decided";
}

/** The proposal that a decided lane had, to be seen beside the decision. */
function firstProposal(state, r, session) {
  const only =
    session.mode === "annotate" && session.sources.length === 1 ? session.sources[0] : null;
  return only ? (state.lanes?.[only.id]?.[r] ?? null) : null;
}

/** What others say of a referent, where there are several, or two to choose from. */
function sourceRows(state, r, session) {
  if (session.mode === "view" || session.sources.length < 2) return [];
  return session.sources
    .filter(({ id }) => state.lanes?.[id]?.[r])
    .map(({ id, name }) => {
      const spans = state.lanes[id][r];
      const letter = LETTERS[session.sources.findIndex((source) => source.id === id)];
      const label = letter ? `${letter} ${name}` : name;
      const title = `${name}: ${describe(spans)}`;
      return { kind: "source", label, title, source: { id, name }, referent: r, spans };
    });
}

function predictionRows(prediction, name, label, truth) {
  if (!prediction) {
    const title = `${name}: no masks of this sentence`;
    return [
      { kind: "present", label, title, spans: [], truth: null, empty: "no masks of this sentence" },
    ];
  }
  const { present, route, relevance, j } = prediction;
  const title = `${name}: a mask in ${describe(present)}`;
  const empty = present.length ? "" : "nothing found";
  const rows = [{ kind: "present", label, title, spans: present, truth, empty }];
  if (route) rows.push(routeRow(route));
  if (relevance) rows.push(curveRow("relevance", relevance));
  if (j) rows.push(curveRow("J", j));
  return rows;
}

function curveRow(label, values) {
  return { kind: "curve", label, title: `${label} per frame, from 0 to 1`, values };
}

function routeRow(route) {
  const unpredicted = route.includes(BEST_FRAME);
  const words = unpredicted ? "; no moment was predicted" : "";
  const label = unpredicted ? BEST_FRAME : "route";
  return { kind: "route", label, title: `${routeTitle(route)}${words}`, route };
}

function routeTitle(route) {
  const counts = new Map();
  for (const name of route.filter(Boolean)) counts.set(name, (counts.get(name) ?? 0) + 1);
  return `Route: ${[...counts].map(([name, count]) => `${name} ${count}`).join(", ")}`;
}

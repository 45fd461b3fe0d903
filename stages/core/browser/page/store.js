// The sentences and their state: what the server has stored, plus actions on their way to it.

import { getJson, postJson, ServerError } from "./api.js";
import { equal } from "./timeline/spans.js";

const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 4000;
const MOST_SECONDS = 60;
const [VIDEO, EXPRESSION_ID, TEXT, STATUS, FLAG, NOTE, VALUE, NUMBER, OTHER] = Array(9).keys();

/**
 * Events: `list` (all sentences), `row` (one of them), `state` (the open sentence), `saving`
 * (progress of sending), `notice` (detail: {text, bad}).
 */
export class Store extends EventTarget {
  constructor() {
    super();
    this.session = null;
    this.sentences = [];
    this.byNumber = new Map();
    this.open = null; // number of the open sentence
    this.saved = new Map(); // number -> state as the server has it
    this.queue = []; // actions that are not stored yet: {n, action, seconds, tries}
    this.problem = null; // why the first of them could not be stored
    this.draining = false;
    this.watch = new Stopwatch();
    this.waking = null;
  }

  async start() {
    this.session = await getJson("/api/session");
    const { rows, video } = await getJson("/api/sentences");
    this.videos = video;
    this.sentences = rows.map((row) => sentenceOf(row, video));
    this.byNumber = new Map(this.sentences.map((sentence) => [sentence.n, sentence]));
    this.emit("list");
  }

  /** Number of a sentence given as a number or as VIDEO/EXPRESSION, null if there is none. */
  find(text) {
    if (/^\d+$/.test(text)) return this.byNumber.has(Number(text)) ? Number(text) : null;
    const named = ({ videoName, id }) => `${videoName}/${id}` === text;
    return this.sentences.find(named)?.n ?? null;
  }

  get editable() {
    return this.session.mode !== "view";
  }

  /** Load the state of a sentence, which is kept from then on if it is shown. */
  async load(n) {
    const state = await getJson(`/api/sentence/${n}`);
    if (this.pending(n).length) return this.stateOf(n);
    return state;
  }

  /** Make a sentence that was loaded the open one. */
  show(state) {
    const { n } = state;
    const known = this.saved.get(n);
    const newer = !known || state.revision >= known.revision; // else it was asked for before an action
    if (newer && !this.pending(n).length) this.saved.set(n, state);
    for (const old of this.saved.keys()) {
      if (old !== n && !this.pending(old).length) this.saved.delete(old);
    }
    this.open = n;
    this.watch.restart();
  }

  /** The open sentence with the actions that are still on their way. */
  get state() {
    return this.stateOf(this.open);
  }

  stateOf(n) {
    const saved = this.saved.get(n);
    return saved && this.pending(n).reduce((state, item) => applied(state, item.action), saved);
  }

  pending(n) {
    return this.queue.filter((item) => item.n === n);
  }

  /** Whether an undo or redo is on its way, whose result only the server knows. */
  get undoing() {
    return this.queue.some(({ action }) => action.kind === "undo" || action.kind === "redo");
  }

  /** Take an action on the open sentence: shown at once, and sent at once. */
  act(action) {
    if (!this.editable || !this.saved.has(this.open)) return;
    this.queue.push({ n: this.open, action, seconds: this.watch.lap(), tries: 0 });
    this.updateRow(this.state);
    this.emit("state");
    this.emit("saving");
    this.drain();
  }

  /** Send now what waits for its next try. */
  wake() {
    this.waking?.();
  }

  async drain() {
    if (this.draining) return;
    this.draining = true;
    try {
      while (this.queue.length) await this.sendFirst();
    } finally {
      this.draining = false;
    }
  }

  async sendFirst() {
    const item = this.queue[0];
    const { revision } = this.saved.get(item.n);
    try {
      const body = { revision, seconds: item.seconds, ...item.action };
      const state = await postJson(`/api/sentence/${item.n}/actions`, body);
      this.stored(item, state);
    } catch (error) {
      if (!(error instanceof ServerError)) throw error;
      await this.failed(item, error);
    }
    this.emit("saving");
  }

  stored(item, state) {
    this.queue.shift();
    this.problem = null;
    this.saved.set(state.n, state);
    this.updateRow(this.stateOf(state.n));
    if (state.n === this.open) this.emit("state");
    else if (state.n !== item.n) this.emit("elsewhere", state.n);
  }

  async failed(item, error) {
    if (error.status === 409) return this.conflict(item, error.body.current);
    const hopeless = error.status >= 400 && error.status < 500 && error.status !== 403;
    if (hopeless) return this.refused(item, error);
    item.tries += 1;
    this.problem =
      error.status === 403 ? "the server was restarted: open its new address" : error.message;
    this.emit("saving");
    const wait = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (item.tries - 1));
    await new Promise((resolve) => {
      this.waking = resolve;
      setTimeout(resolve, wait);
    });
  }

  /** The sentence has changed elsewhere, or an answer to an earlier try was lost on its way. */
  conflict(item, current) {
    const wanted = applied(this.saved.get(item.n), item.action);
    if (item.tries > 0 && (same(wanted, current) || isUndo(item.action))) {
      return this.stored(item, current);
    }
    const dropped = this.pending(item.n).length;
    this.queue = this.queue.filter(({ n }) => n !== item.n);
    this.take(current);
    const actions =
      dropped === 1 ? "1 action of this tab was" : `${dropped} actions of this tab were`;
    const { text } = this.byNumber.get(item.n) ?? current;
    const which = item.n === this.open ? "This sentence" : `"${text}"`;
    this.notice(`${which} was changed in another tab; ${actions} not saved.`, true);
  }

  async refused(item, error) {
    this.queue = this.queue.filter(({ n }) => n !== item.n);
    this.notice(`Not saved: ${error.message}`, true);
    try {
      this.take(await getJson(`/api/sentence/${item.n}`));
    } catch (failure) {
      this.notice(`Not loaded: ${failure.message}`, true);
    }
  }

  take(state) {
    this.problem = null;
    this.saved.set(state.n, state);
    this.updateRow(state);
    if (state.n === this.open) this.emit("state");
  }

  updateRow(state) {
    const sentence = state && this.byNumber.get(state.n);
    if (!sentence) return;
    Object.assign(sentence, { status: state.status, flag: state.flag, note: Boolean(state.note) });
    this.emit("row", state.n);
  }

  notice(text, bad = false) {
    this.emit("notice", { text, bad });
  }

  emit(name, detail = null) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

/** Seconds that the user spent since the last action, while the page could be seen. */
class Stopwatch {
  constructor() {
    this.restart();
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.passed += this.running();
      this.since = performance.now();
    });
  }

  restart() {
    this.passed = 0;
    this.since = performance.now();
  }

  running() {
    return (performance.now() - this.since) / 1000;
  }

  lap() {
    const seconds = this.passed + (document.hidden ? 0 : this.running());
    this.restart();
    return Math.round(Math.min(seconds, MOST_SECONDS) * 1000) / 1000;
  }
}

function sentenceOf(row, videos) {
  return {
    n: row[NUMBER],
    video: row[VIDEO],
    videoName: videos[row[VIDEO]],
    id: row[EXPRESSION_ID],
    text: row[TEXT],
    status: row[STATUS],
    flag: Boolean(row[FLAG]),
    note: Boolean(row[NOTE]),
    value: row[VALUE], // agreement, or J&F of the first prediction; null where there is none
    other: row[OTHER] ?? null, // J&F of the second prediction
    haystack: `${row[TEXT]} ${videos[row[VIDEO]]} ${row[EXPRESSION_ID]}`.toLowerCase(),
  };
}

/** The state after an action; undo and redo are left to the server. */
function applied(state, action) {
  if (action.kind === "spans") {
    const referents = state.referents.map((referent, r) =>
      r === action.referent ? { ...referent, spans: action.spans, decided: true } : referent,
    );
    return { ...state, referents };
  }
  return isUndo(action) ? state : { ...state, [action.kind]: action.value };
}

function isUndo(action) {
  return action.kind === "undo" || action.kind === "redo";
}

function same(a, b) {
  const alike = (x, r) =>
    x.decided === b.referents[r].decided && equal(x.spans, b.referents[r].spans);
  const fields = ["status", "flag", "note"];
  return fields.every((field) => (a[field] || "") === (b[field] || "")) && a.referents.every(alike);
}

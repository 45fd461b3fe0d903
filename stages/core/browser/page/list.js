// The list of sentences: search, filter and order; only the rows in view are in the document.

import { clamp } from "./timeline/spans.js";

const ROW_PIXELS = 56;
const SPARE_ROWS = 4;

export const FILTERS = {
  all: { label: "All", keep: () => true },
  todo: { label: "To do", keep: (sentence) => sentence.status !== "done" },
  done: { label: "Done", keep: (sentence) => sentence.status === "done" },
  flagged: { label: "Flagged", keep: (sentence) => sentence.flag },
};

/** Orders of the list: a label, and what is sorted by (null: at the end in any order). */
const ORDERS = {
  lowest: { label: "lowest first", by: ({ value }) => value },
  highest: { label: "highest first", by: ({ value }) => negative(value) },
  index: { label: "as in the index", by: ({ n }) => n },
};
const ORDERS_OF_TWO = {
  gains: { label: "second gains most", by: (sentence) => negative(gain(sentence)) },
  loses: { label: "second loses most", by: (sentence) => gain(sentence) },
};

export class SentenceList {
  /**
   * @param root element with #search, #filters, #order, #count and #rows
   * @param store of sentences
   * @param go called with the number of a sentence to open
   * @param pick the same, for a sentence that is to get the keys
   */
  constructor(root, store, go, pick) {
    Object.assign(this, { root, store, go, pick });
    this.filter = "all";
    this.words = [];
    this.shown = [];
    this.view = root.querySelector("#rows");
    this.sheet = document.createElement("div");
    this.sheet.className = "sheet";
    this.view.append(this.sheet);
    this.search = root.querySelector("#search");
    this.order = root.querySelector("#order");
    this.listen();
  }

  /** To be called once the sentences are known. */
  start() {
    const editable = this.store.editable;
    this.view.classList.toggle("viewing", !editable);
    this.root.querySelector("#filters").hidden = !editable;
    this.writeOrders();
    this.writeFilters();
    this.apply();
  }

  /** List the sentences that match, in order; the open one stays until another is opened. */
  apply() {
    const { keep } = FILTERS[this.filter];
    const matches = (sentence) => this.words.every((word) => sentence.haystack.includes(word));
    this.shown = this.store.sentences.filter((sentence) => keep(sentence) && matches(sentence));
    const by = this.orders[this.order.value]?.by;
    if (by) this.shown.sort((a, b) => compare(by(a), by(b)) || a.n - b.n);
    this.draw();
    this.writeCounts();
  }

  /** Position of a sentence in the list, -1 if it is not there. */
  position(n) {
    return this.shown.findIndex((sentence) => sentence.n === n);
  }

  /** The sentence `by` places from the open one, null at the ends. */
  neighbour(by) {
    const at = this.position(this.store.open);
    if (at < 0) return this.shown[by > 0 ? 0 : this.shown.length - 1] ?? null;
    return this.shown[at + by] ?? null;
  }

  /** Scroll to the open sentence. */
  reveal() {
    const at = this.position(this.store.open);
    if (at >= 0) {
      const top = at * ROW_PIXELS;
      const { scrollTop, clientHeight } = this.view;
      if (top < scrollTop) this.view.scrollTop = top - ROW_PIXELS;
      else if (top + ROW_PIXELS > scrollTop + clientHeight)
        this.view.scrollTop = top + 2 * ROW_PIXELS - clientHeight;
    }
    this.draw();
  }

  draw() {
    const { scrollTop, clientHeight } = this.view;
    this.sheet.style.height = `${this.shown.length * ROW_PIXELS}px`;
    const first = clamp(Math.floor(scrollTop / ROW_PIXELS) - SPARE_ROWS, 0, this.shown.length);
    const last = Math.ceil((scrollTop + clientHeight) / ROW_PIXELS) + SPARE_ROWS;
    const rows = this.shown.slice(first, last).map((sentence, i) => this.row(sentence, first + i));
    this.sheet.replaceChildren(...rows);
    const open = this.position(this.store.open);
    if (open >= first && open < last)
      this.view.setAttribute("aria-activedescendant", `sentence-${this.store.open}`);
    else this.view.removeAttribute("aria-activedescendant");
  }

  row(sentence, position) {
    const row = document.createElement("div");
    const open = sentence.n === this.store.open;
    row.className = `row ${sentence.status}${open ? " open" : ""}`;
    row.id = `sentence-${sentence.n}`;
    row.dataset.n = sentence.n;
    row.style.top = `${position * ROW_PIXELS}px`;
    row.setAttribute("role", "option");
    row.setAttribute("aria-selected", String(open));
    row.setAttribute("aria-setsize", String(this.shown.length));
    row.setAttribute("aria-posinset", String(position + 1));
    row.append(
      text("state", this.mark(sentence)),
      text("text", sentence.text),
      this.details(sentence),
    );
    row.title = sentence.text;
    row.querySelector(".text").dir = "auto";
    return row;
  }

  mark(sentence) {
    if (!this.store.editable) return "";
    return sentence.status === "done" ? "✓" : "○";
  }

  details(sentence) {
    const marks = [sentence.flag ? "⚑ flagged" : "", sentence.note ? "✎ note" : ""];
    const values = this.values(sentence);
    return text(
      "details",
      [`${sentence.videoName} · ${sentence.id}`, values, ...marks].filter(Boolean).join(" · "),
    );
  }

  /** "J&F 0.71, 0.84" of two predictions, "agreement 0.62" of two annotators, or nothing. */
  values({ value, other }) {
    if (value === null && other === null) return "";
    const name = this.store.session.mode === "view" ? "J&F" : "agreement";
    const known = this.compares ? [value, other] : [value];
    return `${name} ${known.map((v) => (v === null ? "–" : v.toFixed(2))).join(", ")}`;
  }

  /** The orders that make sense for these sentences; without values there is nothing to choose. */
  writeOrders() {
    const { sentences } = this.store;
    this.compares = sentences.some(({ other }) => other !== null);
    const valued = this.compares || sentences.some(({ value }) => value !== null);
    this.root.querySelector("#ordering").hidden = !valued;
    this.orders = valued ? { ...ORDERS, ...(this.compares ? ORDERS_OF_TWO : {}) } : {};
    const options = Object.entries(this.orders).map(([name, { label }]) => new Option(label, name));
    this.order.replaceChildren(...options);
  }

  writeFilters() {
    const buttons = Object.entries(FILTERS).map(([name, { label }]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.filter = name;
      button.append(text("label", label), text("number", ""));
      button.addEventListener("click", () => this.choose(name));
      return button;
    });
    this.root.querySelector("#filters").replaceChildren(...buttons);
  }

  choose(name) {
    this.filter = name;
    this.view.scrollTop = 0;
    this.apply();
  }

  writeCounts() {
    const { sentences } = this.store;
    for (const button of this.root.querySelectorAll("[data-filter]")) {
      const { filter } = button.dataset;
      button.setAttribute("aria-pressed", String(filter === this.filter));
      button.querySelector(".number").textContent = sentences.filter(FILTERS[filter].keep).length;
    }
    const { length } = this.shown;
    const all = length === sentences.length ? "" : ` of ${sentences.length}`;
    this.root.querySelector("#count").textContent =
      `${length}${all} ${length === 1 && !all ? "sentence" : "sentences"}`;
    this.root.querySelector("#empty").hidden = length > 0;
  }

  /** Arrows go through the list; Enter opens the first match of a search and leaves the list. */
  key(event) {
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!by && event.key !== "Enter") return;
    event.preventDefault();
    event.stopPropagation();
    const target = by
      ? this.neighbour(by)
      : event.currentTarget === this.search
        ? this.shown[0]
        : null;
    if (by && target) this.go(target.n);
    else if (!by) this.pick(target?.n ?? this.store.open);
  }

  listen() {
    this.search.addEventListener("input", () => {
      this.words = this.search.value.toLowerCase().split(/\s+/).filter(Boolean);
      this.view.scrollTop = 0;
      this.apply();
    });
    this.order.addEventListener("change", () => this.apply());
    for (const element of [this.search, this.view]) {
      element.addEventListener("keydown", (event) => this.key(event));
    }
    this.view.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.draw()).observe(this.view);
    this.sheet.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row) this.pick(Number(row.dataset.n));
    });
  }
}

/** By how much the second prediction is better; null where one has no score. */
function gain({ value, other }) {
  return value === null || other === null ? null : other - value;
}

function negative(value) {
  return value === null ? null : -value;
}

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null);
  return a - b;
}

function text(name, content) {
  const element = document.createElement("span");
  element.className = name;
  element.textContent = content;
  return element;
}

// Edits of the spans of the open sentence: which lane and edge is selected, and what each command does.

import * as spans from "./timeline/spans.js";

export class Editor {
  /**
   * @param store of sentences (store.js)
   * @param player of its video (player/player.js)
   * @param changed called when the selection changes
   */
  constructor(store, player, changed) {
    this.store = store;
    this.player = player;
    this.changed = changed;
    this.reset();
  }

  /** Forget what was selected, for another sentence. */
  reset() {
    this.referent = 0;
    this.edge = null; // {span, side} of the lane
    this.pending = null; // {side, frame}: an edge whose other edge is to come
    this.sweep = null; // {from, to, add}: frames being marked while a key or button is held
  }

  get state() {
    return this.store.state;
  }

  get frame() {
    return this.player.shown ?? 0;
  }

  get count() {
    return this.player.count;
  }

  get sources() {
    return this.store.session.sources;
  }

  /** What a lane shows: the decided spans, else the proposal. */
  lane(r = this.referent) {
    const referent = this.state.referents[r];
    if (referent.decided) return { spans: referent.spans, decided: true };
    if (!this.store.editable) return { spans: [], decided: false };
    const source = this.proposalSource(r);
    const proposed = source ? this.state.lanes[source.id][r] : null;
    return { spans: proposed ?? [], decided: false, source };
  }

  /** The source whose spans stand in an undecided lane; of two annotators only where they agree. */
  proposalSource(r) {
    const having = this.sources.filter(({ id }) => this.state.lanes?.[id]?.[r]);
    if (!having.length) return null;
    const lanes = having.map(({ id }) => this.state.lanes[id][r]);
    const agree = lanes.every((lane) => spans.equal(lane, lanes[0]));
    return this.store.session.mode !== "adjudicate" || agree ? having[0] : null;
  }

  select(r) {
    if (r < 0 || r >= this.state.referents.length || r === this.referent) return;
    this.endSweep();
    Object.assign(this, { referent: r, edge: null, pending: null });
    this.changed();
  }

  /** Store the spans of a lane, those of a source if `from` names one. */
  put(r, marked, from = null) {
    const referent = this.state.referents[r];
    if (referent.decided && spans.equal(referent.spans, marked)) return;
    this.store.act({ kind: "spans", referent: r, spans: marked, from });
    if (this.state.status === "done")
      this.store.notice("Changed after it was done; it stays done.");
  }

  /** Store an edit of what the lane shows; a proposal is accepted before it is edited. */
  edit(r, edited) {
    const { spans: shown, decided, source } = this.lane(r);
    if (!decided && source) this.put(r, shown, source.id);
    this.put(r, edited);
  }

  /** [ and ]: move the edge of the span under the cursor, or begin or end a new span. */
  setEdge(side) {
    const { frame } = this;
    const lane = this.lane().spans;
    const span = spans.spanAt(lane, frame);
    if (this.pending && this.pending.side !== side) return this.closePending(frame);
    if (span >= 0 && !this.pending) {
      this.edge = { span, side };
      return this.edit(this.referent, spans.moveEdge(lane, this.edge, frame, this.count));
    }
    this.pending = { side, frame };
    const [here, other] = side === 0 ? ["starts", "] ends it"] : ["ends", "[ starts it"];
    this.store.notice(`A span ${here} at frame ${frame}; ${other}.`);
    this.changed();
  }

  closePending(frame) {
    const [start, end] =
      this.pending.side === 0 ? [this.pending.frame, frame] : [frame, this.pending.frame];
    if (end < start) {
      return this.store.notice(`The end, frame ${end}, is before the start, frame ${start}.`, true);
    }
    this.pending = null;
    this.edit(this.referent, spans.union(this.lane().spans, [[start, end + 1]]));
    this.changed();
  }

  /** Start to mark (or, if not `add`, to clear) every frame that is shown until endSweep. */
  startSweep(add) {
    if (this.sweep) return;
    const { frame, referent } = this;
    this.sweep = { from: frame, to: frame, last: frame, add, referent };
    this.changed();
  }

  /** To be called for every frame that is shown. */
  passed(frame) {
    if (!this.sweep) return;
    const { direction } = this.player;
    if ((frame - this.sweep.last) * direction < 0) return this.endSweep(); // a loop starts again
    this.sweep.last = frame;
    this.sweep.from = Math.min(this.sweep.from, frame);
    this.sweep.to = Math.max(this.sweep.to, frame);
  }

  endSweep() {
    if (!this.sweep) return;
    const { from, to, add, referent } = this.sweep;
    this.sweep = null;
    const swept = [from, to + 1];
    const lane = this.lane(referent).spans;
    this.edit(referent, add ? spans.union(lane, [swept]) : spans.without(lane, swept));
    this.changed();
  }

  /** Escape: forget a sweep, a begun span, or the selected edge. */
  cancel() {
    const busy = this.sweep || this.pending || this.edge;
    Object.assign(this, { sweep: null, pending: null, edge: null });
    this.changed();
    return Boolean(busy);
  }

  /** Go to the next (1) or previous (-1) edge of the lane and select it. */
  nextEdge(direction) {
    const list = spans.edges(this.lane().spans);
    if (!list.length) return this.store.notice("This lane has no spans.");
    const selected = list.findIndex(
      (e) => e.span === this.edge?.span && e.side === this.edge?.side,
    );
    let next = selected + direction;
    if (selected < 0 || list[selected].frame !== this.frame) {
      const ahead =
        direction > 0
          ? list.findIndex((e) => e.frame > this.frame)
          : list.findLastIndex((e) => e.frame < this.frame);
      next = ahead >= 0 ? ahead : direction > 0 ? 0 : list.length - 1;
    }
    const { span, side, frame } = list[(next + list.length) % list.length];
    this.edge = { span, side };
    this.player.pause();
    this.player.seek(frame);
    this.changed();
  }

  /** Move the selected edge, or that nearest to the cursor, by frames; the cursor goes with it. */
  nudge(by) {
    const lane = this.lane().spans;
    const list = spans.edges(lane);
    if (!list.length) return this.store.notice("This lane has no spans.");
    const chosen = list.find((e) => e.span === this.edge?.span && e.side === this.edge?.side);
    const edge = chosen ?? nearest(list, this.frame);
    const moved = spans.moveEdge(lane, edge, edge.frame + by, this.count);
    this.edge = { span: edge.span, side: edge.side };
    this.edit(this.referent, moved);
    this.player.pause();
    this.player.seek(moved[edge.span][edge.side] - edge.side);
    this.changed();
  }

  never() {
    this.edge = null;
    this.put(this.referent, []);
  }

  /** W: all frames where the referent has a mask; the whole video where none is known. */
  whole() {
    const { visible } = this.state.referents[this.referent];
    this.edge = null;
    this.put(this.referent, visible?.length ? visible : [[0, this.count]]);
  }

  /** A and B: take the spans of a source, for this referent or for all that are undecided. */
  accept(number, all) {
    const source = this.sources[number];
    if (!source)
      return this.store.notice(number ? "There is no second source." : "There are no proposals.");
    const open = this.state.referents.flatMap((referent, r) => (referent.decided ? [] : [r]));
    this.acceptFrom(source, all ? open : [this.referent]);
  }

  /** Take the spans of a source for some referents. */
  acceptFrom(source, referents) {
    const lanes = this.state.lanes?.[source.id] ?? [];
    const having = referents.filter((r) => lanes[r]);
    if (!having.length)
      return this.store.notice(`${source.name} says nothing about this; mark it yourself.`);
    for (const r of having) this.put(r, lanes[r], source.id);
    this.edge = null;
    this.changed();
  }

  removeSpan() {
    const lane = this.lane().spans;
    const span = spans.spanAt(lane, this.frame);
    if (span < 0) return this.store.notice(`No span at frame ${this.frame}.`);
    this.edge = null;
    this.edit(
      this.referent,
      lane.filter((_, i) => i !== span),
    );
  }

  /** Position of the first referent without a decision, -1 if all have one. */
  undecided() {
    return this.state.referents.findIndex((referent) => !referent.decided);
  }
}

function nearest(list, frame) {
  return list.reduce((best, edge) =>
    Math.abs(edge.frame - frame) < Math.abs(best.frame - frame) ? edge : best,
  );
}

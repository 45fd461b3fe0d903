// The masks over the frames of the open sentence: which ones are loaded, and what is drawn of them.

import { MaskTrack, remember, Shape } from "./masks.js";
import { intersect, subtract, unite } from "./rle.js";

export const MODES = ["dim", "outline", "off"];
const MOST_COMPARISONS = 300;

export class Overlay {
  /** @param redraw called with [start, end) when masks of these frames have arrived */
  constructor(redraw) {
    this.redraw = redraw;
    this.mode = MODES[0];
    this.prediction = 0;
    this.referents = [];
    this.predictions = [];
  }

  /** Change to the masks of another sentence. */
  open(state, video) {
    for (const track of [...this.referents, ...this.predictions]) track?.close();
    this.state = state;
    this.video = video;
    const masks = (place) => (start, end) => `/api/${place}start=${start}&end=${end}`;
    const track = (place) => new MaskTrack(masks(place), video, this.redraw);
    const known = state.referents.filter(
      (referent) => referent.id !== null && referent.id !== undefined,
    );
    this.referents = known.map((_, r) =>
      track(`video/${state.video}/mask/${r}?sentence=${state.n}&`),
    );
    const predicted = (one, p) => one && track(`sentence/${state.n}/prediction/${p}/masks?`);
    this.predictions = (state.predictions ?? []).map(predicted); // null without masks of this sentence
    this.prediction = Math.min(this.prediction, Math.max(0, this.predictions.length - 1));
    this.comparisons = new Map();
  }

  /** Take edited spans into account. */
  update(state) {
    this.state = state;
  }

  /** The tracks that are drawn. */
  get tracks() {
    if (this.mode === "off") return [];
    const predicted = this.predictions[this.prediction];
    return predicted ? [...this.referents, predicted] : this.referents;
  }

  want(frame, direction) {
    for (const track of this.tracks) track.want(frame, direction);
  }

  /** "loading" if masks of a frame are to come, the reason if they cannot be loaded, else null. */
  trouble(frame) {
    const waiting = this.tracks.filter((track) => track.runs(frame) === undefined);
    if (!waiting.length) return null;
    return waiting.find((track) => track.error)?.error.message ?? "loading";
  }

  draw(screen, frame, current) {
    if (this.mode === "off") return;
    if (this.predictions[this.prediction]) return this.drawPrediction(screen, frame);
    const shapes = this.referents
      .map((track, referent) => ({ shape: track.shape(frame), referent }))
      .filter(({ shape }) => shape);
    screen.drawReferents(shapes, current, this.mode === "dim");
  }

  drawPrediction(screen, frame) {
    const track = this.predictions[this.prediction];
    const loading = [...this.referents, track].some((t) => t.runs(frame) === undefined);
    if (loading) return;
    if (this.state.truth === false) {
      const shape = track.shape(frame);
      if (shape) screen.drawPlain(shape);
      return;
    }
    const key = `${this.prediction} ${frame}`;
    screen.drawComparison(
      remember(this.comparisons, key, () => this.compare(track, frame), MOST_COMPARISONS),
    );
  }

  /** Regions of a prediction against the masks of all referents, as the scorer compares them. */
  compare(track, frame) {
    const { height } = this.video;
    const truth = unite(this.referents.map((one) => one.runs(frame) ?? new Int32Array()));
    const predicted = track.runs(frame) ?? new Int32Array();
    return {
      agreement: new Shape(intersect(predicted, truth), height),
      missed: new Shape(subtract(truth, predicted), height),
      extra: new Shape(subtract(predicted, truth), height),
    };
  }
}

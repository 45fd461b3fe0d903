// Masks of one sentence, loaded in chunks of frames and kept as runs and as paths.

import { getJson } from "../api.js";
import { boundingBox, loopsPath, traceLoops } from "./contours.js";
import { decodeRuns } from "./rle.js";

const CHUNK = 64;
const MOST_CHUNKS = 24;
const MOST_SHAPES = 600;

/** A mask of a frame that can be drawn: `runs`, `path` and `box` ([left, top, right, bottom]). */
export class Shape {
  constructor(runs, height) {
    const loops = traceLoops(runs, height);
    this.runs = runs;
    this.path = loopsPath(loops);
    this.box = boundingBox(loops);
  }
}

/** Masks from one source, such as a referent or a prediction. */
export class MaskTrack {
  /**
   * @param address function from [start, end) to the address of their masks
   * @param video {frames, width, height}
   * @param onload called with [start, end) when masks have arrived
   */
  constructor(address, video, onload) {
    this.address = address;
    this.video = video;
    this.onload = onload;
    this.chunks = new Map(); // number of the chunk -> Map of runs, or null while it loads
    this.shapes = new Map();
    this.error = null;
    this.closed = false;
  }

  /** The runs of a frame: null without a mask, undefined while it is not loaded. */
  runs(frame) {
    const chunk = this.chunks.get(Math.floor(frame / CHUNK));
    if (!chunk) return undefined;
    return chunk.get(frame) ?? null;
  }

  /** The shape of a frame's mask; null and undefined as above. */
  shape(frame) {
    const runs = this.runs(frame);
    return runs && remember(this.shapes, frame, () => new Shape(runs, this.video.height));
  }

  /** Load the masks of a frame, and of those that play next. */
  want(frame, direction) {
    const number = Math.floor(frame / CHUNK);
    this.load(number);
    const near = Math.floor((frame + (direction < 0 ? -1 : 1) * (CHUNK / 2)) / CHUNK);
    if (near !== number) this.load(near);
  }

  close() {
    this.closed = true;
  }

  async load(number) {
    const start = number * CHUNK;
    const end = Math.min(start + CHUNK, this.video.frames);
    if (start < 0 || start >= end || this.chunks.has(number) || this.closed) return;
    this.chunks.set(number, null);
    try {
      const answer = await getJson(this.address(start, end));
      this.chunks.set(number, this.decode(answer.frames));
      this.error = null;
    } catch (error) {
      this.chunks.delete(number);
      this.error = error;
    }
    for (const old of this.chunks.keys()) {
      if (this.chunks.size <= MOST_CHUNKS) break;
      this.chunks.delete(old);
    }
    if (!this.closed) this.onload(start, end);
  }

  decode(frames) {
    const size = this.video.width * this.video.height;
    return new Map(
      Object.entries(frames).map(([frame, counts]) => [Number(frame), decodeRuns(counts, size)]),
    );
  }
}

/** The value of a key of a small cache, made if it is missing; the oldest go. */
export function remember(cache, key, make, most = MOST_SHAPES) {
  let value = cache.get(key);
  if (value === undefined) {
    value = make();
    if (cache.size >= most) cache.delete(cache.keys().next().value);
    cache.set(key, value);
  }
  return value;
}

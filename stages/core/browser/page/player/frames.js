// Decoded frames of one video: loaded ahead in the direction of play, the least recently used dropped.

import { getBlob } from "../api.js";

const BYTES_PER_PIXEL = 4;
const BUDGET = 384 * 2 ** 20;
const MOST_AHEAD = 90;
const LOADS_AT_ONCE = 4; // of the 6 that browsers allow: actions and masks go past them
const RETRY_MS = 2000;
const SHARE_BEHIND = 0.2;

export class FrameCache {
  /**
   * @param address function from a frame's number to its address
   * @param video {frames, width, height}
   * @param onload called with the number of a frame when it, or its error, has arrived
   */
  constructor(address, video, onload) {
    this.address = address;
    this.count = video.frames;
    this.onload = onload;
    this.fits = Math.max(4, Math.floor(BUDGET / (video.width * video.height * BYTES_PER_PIXEL)));
    this.bitmaps = new Map(); // in order of use, the least recent first
    this.errors = new Map();
    this.loads = new Map();
    this.wanted = [];
    this.closed = false;
  }

  has(frame) {
    return this.bitmaps.has(frame);
  }

  /** The bitmap of a frame, undefined while it is not loaded. */
  get(frame) {
    const bitmap = this.bitmaps.get(frame);
    if (bitmap) {
      this.bitmaps.delete(frame);
      this.bitmaps.set(frame, bitmap);
    }
    return bitmap;
  }

  /** Why a frame could not be loaded, undefined if it could. */
  error(frame) {
    return this.errors.get(frame);
  }

  /**
   * Load a frame, those that play next, and a few behind it; stop loading others.
   *
   * @param direction 1 forwards, -1 backwards
   * @param stride frames per step where play drops frames: only multiples of it are loaded ahead
   */
  want(frame, direction, stride = 1) {
    const ahead = Math.min(MOST_AHEAD, Math.floor(this.fits * (1 - SHARE_BEHIND)) - 1);
    const behind = Math.floor(ahead * SHARE_BEHIND);
    const wanted = [frame];
    const step = direction > 0 ? Math.floor(frame / stride) : Math.ceil(frame / stride);
    for (let i = 1; i <= ahead; i++) wanted.push((step + i * direction) * stride);
    for (let i = 1; i <= behind; i++) wanted.push(frame - i * direction);
    this.wanted = wanted.filter((t) => t >= 0 && t < this.count);
    const keep = new Set(this.wanted);
    for (const [t, load] of this.loads) if (!keep.has(t)) load.abort();
    this.fill();
  }

  close() {
    this.closed = true;
    for (const load of this.loads.values()) load.abort();
    for (const bitmap of this.bitmaps.values()) bitmap.close();
    this.bitmaps.clear();
  }

  fill() {
    if (this.closed) return;
    for (const frame of this.wanted) {
      if (this.loads.size >= LOADS_AT_ONCE) return;
      if (!this.has(frame) && !this.loads.has(frame) && !this.failed(frame)) this.load(frame);
    }
  }

  /** Whether a frame is not to be tried again yet. */
  failed(frame) {
    const error = this.errors.get(frame);
    return error !== undefined && performance.now() - error.time < RETRY_MS;
  }

  async load(frame) {
    const abort = new AbortController();
    this.loads.set(frame, abort);
    try {
      const blob = await getBlob(this.address(frame), abort.signal);
      const bitmap = await createImageBitmap(blob);
      if (this.closed) bitmap.close();
      else this.keep(frame, bitmap);
    } catch (error) {
      if (!abort.signal.aborted)
        this.errors.set(frame, Object.assign(error, { time: performance.now() }));
    }
    this.loads.delete(frame);
    if (this.closed) return;
    if (this.has(frame) || this.errors.has(frame)) this.onload(frame);
    this.fill();
  }

  keep(frame, bitmap) {
    this.errors.delete(frame);
    this.bitmaps.set(frame, bitmap);
    if (this.bitmaps.size <= this.fits) return;
    const wanted = new Set(this.wanted);
    for (const [t, old] of this.bitmaps) {
      if (this.bitmaps.size <= this.fits) return;
      if (wanted.has(t)) continue;
      old.close();
      this.bitmaps.delete(t);
    }
  }
}

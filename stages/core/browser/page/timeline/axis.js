// The time axis: which frames are in view, where they lie in pixels, and which ticks are labelled.

import { clamp } from "./spans.js";

const LEAST_TICK_PIXELS = 64;
const LEAST_FRAMES = 8;
const SHARE_AHEAD = 0.1; // of the view, on the side that the cursor comes from
const FRAME_STEPS = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000];
const SECOND_STEPS = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600];

export class Axis {
  constructor(clock) {
    this.clock = clock;
    this.count = clock.count;
    this.from = 0;
    this.to = clock.count;
    this.width = 1;
  }

  /** Left edge of a frame in pixels. */
  x(frame) {
    return ((frame - this.from) / (this.to - this.from)) * this.width;
  }

  /** Frame at a pixel, within the video. */
  frameAt(x) {
    return clamp(Math.floor(this.position(x)), 0, this.count - 1);
  }

  /** Place at a pixel in frames, with its fraction. */
  position(x) {
    return this.from + (x / this.width) * (this.to - this.from);
  }

  get pixelsPerFrame() {
    return this.width / (this.to - this.from);
  }

  get zoomed() {
    return this.to - this.from < this.count;
  }

  /** Show more (factor > 1) or fewer frames, around one that stays in its place. */
  zoom(factor, around) {
    const length = clamp(
      (this.to - this.from) * factor,
      Math.min(LEAST_FRAMES, this.count),
      this.count,
    );
    const share = (around - this.from) / (this.to - this.from);
    this.place(around - share * length, length);
  }

  pan(frames) {
    this.place(this.from + frames, this.to - this.from);
  }

  /** Bring a frame into view. */
  reveal(frame) {
    if (frame >= this.from && frame + 1 <= this.to) return;
    const length = this.to - this.from;
    this.place(frame - length * (frame < this.from ? 1 - SHARE_AHEAD : SHARE_AHEAD), length);
  }

  place(from, length) {
    this.from = clamp(from, 0, this.count - length);
    this.to = this.from + length;
  }

  /** [[frame, label], ...] at round numbers of frames. */
  frameTicks() {
    const step =
      FRAME_STEPS.find((s) => s * this.pixelsPerFrame >= LEAST_TICK_PIXELS) ?? this.count;
    return this.ticks(step, (frame) => String(frame));
  }

  /** [[frame, label], ...] at round numbers of seconds, none where the rate is unknown. */
  secondTicks() {
    const { clock } = this;
    if (!clock.known) return [];
    const [from, to] = [clock.seconds(this.from), clock.seconds(this.to)];
    const wide = (s) => (s * this.width) / (to - from) >= LEAST_TICK_PIXELS;
    const step = SECOND_STEPS.find(wide) ?? SECOND_STEPS[SECOND_STEPS.length - 1];
    const ticks = [];
    let left = -Infinity; // where the rate varies, some lie close together
    for (let i = Math.ceil(from / step - 1e-9); i * step < to; i++) {
      const place = clock.place(i * step);
      if (this.x(place) - left < LEAST_TICK_PIXELS - 1) continue;
      left = this.x(place);
      ticks.push([place, seconds(i * step, step < 1 ? 1 : 0)]);
    }
    return ticks;
  }

  ticks(step, label) {
    const ticks = [];
    for (let i = Math.ceil(this.from / step); i * step < this.to; i++) {
      ticks.push([i * step, label(i * step)]);
    }
    return ticks;
  }
}

/** 83.5 -> "1:23.5", 2 -> "2 s". */
export function seconds(value, digits) {
  if (value < 60) return `${value.toFixed(digits)} s`;
  const minutes = Math.floor(value / 60 + 1e-9);
  const rest = Math.max(0, value - minutes * 60).toFixed(digits);
  return `${minutes}:${rest.padStart(digits ? digits + 3 : 2, "0")}`;
}

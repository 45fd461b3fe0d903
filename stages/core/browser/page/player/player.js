// Playback: which frame to show when. The frame that is shown is always one that was drawn.

import { Clock } from "./clock.js";

export const SPEEDS = [0.25, 0.5, 1, 1.5, 2, 4];
const LARGEST_LAG_SECONDS = 0.25; // lost time is made up for until then

export class Player {
  /**
   * @param show function that draws a frame; called only with frames that are loaded or failed
   * @param changed called when play, speed, loop or the wanted frame changes
   */
  constructor(show, changed) {
    this.show = show;
    this.changed = changed;
    this.frames = null;
    this.count = 0;
    this.clock = new Clock(0, null);
    this.speed = 1;
    this.wanted = 0;
    this.shown = null;
    this.direction = 0;
    this.loop = null;
    this.tick = this.tick.bind(this);
    this.ticking = false;
  }

  /** Show another video. */
  open(frames, clock, frame = 0) {
    this.pause();
    this.frames?.close();
    this.frames = frames;
    this.count = clock.count;
    this.clock = clock;
    this.loop = null;
    this.shown = null;
    this.seek(frame);
  }

  /** Frames per second, on average where they vary. */
  get rate() {
    return this.clock.rate;
  }

  get playing() {
    return this.direction !== 0;
  }

  /** Whether the frame that was asked for is the one that is shown; in play they go together. */
  get arrived() {
    return this.playing || this.shown === this.wanted;
  }

  /** Go to a frame; it is drawn at once if it is loaded, else as soon as it is. */
  seek(frame) {
    if (!this.count) return;
    const target = Math.max(0, Math.min(this.count - 1, Math.round(frame)));
    const back = target < this.wanted || target === this.count - 1;
    const heading = this.direction || (back ? -1 : 1);
    this.wanted = target;
    this.anchor();
    this.frames.want(target, heading);
    this.drawWanted();
    this.changed();
  }

  step(frames) {
    this.pause();
    this.seek(this.wanted + frames);
  }

  /** Play forwards (1) or backwards (-1). */
  play(direction) {
    if (!this.count) return;
    const [first, last] = this.range();
    const atEnd = direction > 0 ? this.wanted >= last : this.wanted <= first;
    if (atEnd || this.wanted < first || this.wanted > last)
      this.wanted = direction > 0 ? first : last;
    this.direction = direction;
    this.anchor();
    this.request();
    this.changed();
    if (!this.ticking) requestAnimationFrame(this.tick);
    this.ticking = true;
  }

  pause() {
    if (!this.direction) return;
    this.direction = 0;
    this.wanted = this.shown ?? this.wanted;
    this.changed();
  }

  toggle() {
    if (this.playing) this.pause();
    else this.play(1);
  }

  /** J and L: play in a direction, faster if it already plays that way. */
  shuttle(direction) {
    if (this.direction === direction)
      this.setSpeed(SPEEDS.find((s) => s > this.speed) ?? this.speed);
    else {
      this.setSpeed(1);
      this.play(direction);
    }
  }

  setSpeed(speed) {
    this.speed = speed;
    this.anchor();
    this.changed();
  }

  /** Play only [start, end), again and again; null ends it. */
  setLoop(span) {
    this.loop = span && [Math.max(0, span[0]), Math.min(this.count, span[1])];
    if (this.loop) {
      this.seek(this.loop[0]);
      this.play(1);
    }
    this.changed();
  }

  /** To be called when a frame has been loaded. */
  loaded(frame) {
    if (frame === this.wanted && !this.playing) this.drawWanted();
  }

  range() {
    return this.loop ? [this.loop[0], this.loop[1] - 1] : [0, this.count - 1];
  }

  anchor() {
    this.anchored = { time: performance.now(), frame: this.wanted };
  }

  request() {
    const stride = this.speed > 1 ? Math.max(1, Math.floor((this.rate * this.speed) / 60)) : 1;
    this.frames.want(this.wanted, this.direction || 1, stride);
  }

  drawWanted() {
    if (!this.ready(this.wanted)) return false;
    if (this.shown !== this.wanted || !this.playing) this.draw(this.wanted);
    return true;
  }

  ready(frame) {
    return this.frames.has(frame) || this.frames.error(frame) !== undefined;
  }

  draw(frame) {
    this.shown = frame;
    this.show(frame);
  }

  tick(now) {
    if (!this.playing) {
      this.ticking = false;
      return;
    }
    requestAnimationFrame(this.tick);
    if (this.shown !== this.wanted && !this.drawWanted()) return this.anchor(); // waits for it
    const due = this.due(now);
    if (due > 0) this.advance(due);
  }

  /** Frames that should have been shown since the last one. */
  due(now) {
    const passed = Math.max(0, now - this.anchored.time);
    const { frame } = this.anchored;
    const target = this.clock.passed(frame, this.direction, (passed / 1000) * this.speed);
    return target - Math.abs(this.wanted - frame);
  }

  /** Go on by one frame; above 1x by all that are due, dropping those between. */
  advance(due) {
    const [first, last] = this.range();
    const left = this.direction > 0 ? last - this.wanted : this.wanted - first;
    if (left <= 0) return this.turn();
    const step = Math.min(this.speed > 1 ? this.furthestReady(due) : 1, left);
    this.wanted += step * this.direction;
    if (due - step > this.rate * this.speed * LARGEST_LAG_SECONDS + 1) this.anchor();
    this.request();
    this.drawWanted();
    this.changed();
  }

  /** The largest step up to `due` whose frame is loaded; `due` if none is. */
  furthestReady(due) {
    for (let step = due; step > 0; step--) {
      if (this.ready(this.wanted + step * this.direction)) return step;
    }
    return due;
  }

  /** At the end: start again in a loop, else stop. */
  turn() {
    if (!this.loop) return this.pause();
    this.wanted = this.direction > 0 ? this.loop[0] : this.loop[1] - 1;
    this.anchor();
    this.request();
    this.drawWanted();
  }
}

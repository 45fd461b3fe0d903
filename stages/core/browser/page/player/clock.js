// When each frame of a video is shown: at a constant rate, or at times of their own.

export const FALLBACK_RATE = 10;

export class Clock {
  /**
   * @param count of frames
   * @param fps null where the rate varies or is unknown
   * @param times seconds of each frame, then of the end, where the rate varies; else null
   */
  constructor(count, fps, times = null) {
    this.count = count;
    this.times = times;
    const mean = times ? count / (times[count] - times[0]) : fps;
    /** Whether seconds mean anything. */
    this.known = Boolean(mean);
    this.varies = Boolean(times);
    /** Frames per second, on average where they vary. */
    this.rate = mean || FALLBACK_RATE;
  }

  /** Seconds at a place in frames, with its fraction. */
  seconds(place) {
    if (!this.times) return place / this.rate;
    const frame = Math.max(0, Math.min(this.count - 1, Math.floor(place)));
    const [start, end] = [this.times[frame], this.times[frame + 1]];
    return start + (place - frame) * (end - start);
  }

  /** Place in frames, with its fraction, at a time. */
  place(seconds) {
    if (!this.times) return seconds * this.rate;
    let [low, high] = [0, this.count - 1];
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if (this.times[middle] <= seconds) low = middle;
      else high = middle - 1;
    }
    const [start, end] = [this.times[low], this.times[low + 1]];
    return low + (seconds - start) / (end - start);
  }

  /** Frames to have gone from one in a direction, some seconds after it came. */
  passed(frame, direction, seconds) {
    if (!this.times) return Math.floor(seconds * this.rate + 1e-6);
    if (direction > 0) return Math.floor(this.place(this.times[frame] + seconds) + 1e-6) - frame;
    return frame - Math.ceil(this.place(this.times[frame + 1] - seconds) - 1e-6) + 1;
  }
}

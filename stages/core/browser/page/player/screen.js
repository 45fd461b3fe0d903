// The canvas that shows a frame with masks over it, at the resolution of the display.

import { AGREEMENT, DARK, EXTRA, LIGHT, MISSED, PLAIN, referentColour } from "./colours.js";

const HATCH_PIXELS = 7;
const DIMMED = "rgba(0, 0, 0, 0.5)";
const FILL_OPACITY = 0.5;
const TAG_PIXELS = 13;

export class Screen {
  /** @param canvas its parent element is the room that it may take */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d", { alpha: false });
    this.video = { width: 1, height: 1 };
    this.ratio = 1;
  }

  open(video) {
    this.video = video;
    this.fit();
    this.clear();
  }

  /** Take the largest size of the video's proportions that the room has; say whether it changed. */
  fit() {
    const room = this.canvas.parentElement;
    const scale = Math.min(
      room.clientWidth / this.video.width,
      room.clientHeight / this.video.height,
    );
    const [width, height] = [this.video.width * scale, this.video.height * scale].map((side) =>
      Math.max(1, Math.floor(side)),
    );
    this.ratio = window.devicePixelRatio || 1;
    const backing = [width, height].map((side) => Math.round(side * this.ratio));
    if (this.canvas.width === backing[0] && this.canvas.height === backing[1]) return false;
    [this.canvas.width, this.canvas.height] = backing;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    return true;
  }

  clear() {
    this.context.setTransform(1, 0, 0, 1, 0, 0);
    this.context.fillStyle = "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
  }

  /** @param fast whether speed counts more than smoothness, as in play */
  drawFrame(bitmap, fast) {
    const { context } = this;
    context.setTransform(1, 0, 0, 1, 0, 0);
    const enlarged = this.canvas.width > bitmap.width * 2;
    context.imageSmoothingEnabled = !enlarged; // pixels of small frames stay as sharp as their masks
    context.imageSmoothingQuality = fast ? "low" : "high"; // twice the time without a GPU
    context.drawImage(bitmap, 0, 0, this.canvas.width, this.canvas.height);
    context.setTransform(
      this.canvas.width / this.video.width,
      0,
      0,
      this.canvas.height / this.video.height,
      0,
      0,
    );
  }

  drawError(text) {
    this.clear();
    const { context } = this;
    context.fillStyle = LIGHT;
    context.font = `${14 * this.ratio}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.fillText(text, this.canvas.width / 2, this.canvas.height / 2, this.canvas.width * 0.9);
  }

  /** Pixels of the display in pixels of the video. */
  pixels(count) {
    return (count * this.ratio * this.video.width) / this.canvas.width;
  }

  /**
   * Referents of a sentence: the current one outlined, the others thinner.
   *
   * @param shapes [{shape, referent}], without those that have no mask in the frame
   * @param current number of the current referent
   * @param dim whether everything but the current one is darkened
   */
  drawReferents(shapes, current, dim) {
    const own = shapes.find(({ referent }) => referent === current);
    if (dim) this.dimAround(own?.shape);
    for (const { shape, referent } of shapes) {
      if (referent !== current) this.outline(shape, referentColour(referent), 1.25);
    }
    if (own) this.outline(own.shape, referentColour(current), 2.5);
    if (shapes.length > 1) for (const { shape, referent } of shapes) this.tag(shape, referent);
  }

  /** A prediction against the truth, in the colours of `tgl render`. */
  drawComparison({ agreement, missed, extra }) {
    this.fill(agreement, AGREEMENT);
    this.outline(agreement, LIGHT, 1.5);
    this.hatch(missed, MISSED);
    this.fill(extra, EXTRA);
    this.outline(extra, EXTRA, 1);
  }

  drawPlain(shape) {
    this.fill(shape, PLAIN);
    this.outline(shape, LIGHT, 1.5);
  }

  dimAround(shape) {
    const path = new Path2D();
    path.rect(0, 0, this.video.width, this.video.height);
    if (shape) path.addPath(shape.path);
    this.context.fillStyle = DIMMED;
    this.context.fill(path, "evenodd");
  }

  outline(shape, colour, width) {
    const { context } = this;
    context.lineJoin = "round";
    context.strokeStyle = DARK;
    context.lineWidth = this.pixels(width + 1.75);
    context.stroke(shape.path);
    context.strokeStyle = colour;
    context.lineWidth = this.pixels(width);
    context.stroke(shape.path);
  }

  fill(shape, colour) {
    const { context } = this;
    context.globalAlpha = FILL_OPACITY;
    context.fillStyle = colour;
    context.fill(shape.path, "evenodd");
    context.globalAlpha = 1;
  }

  hatch(shape, colour) {
    if (!shape.box) return;
    const { context } = this;
    const [left, top, right, bottom] = shape.box;
    const gap = this.pixels(HATCH_PIXELS);
    context.save();
    context.clip(shape.path, "evenodd");
    context.strokeStyle = colour;
    context.lineWidth = gap / 2;
    context.beginPath();
    const first = Math.floor((left - bottom) / gap);
    for (let i = first; i * gap < right - top; i++) {
      context.moveTo(i * gap + top, top);
      context.lineTo(i * gap + bottom, bottom);
    }
    context.stroke();
    context.restore();
    this.outline(shape, colour, 1);
  }

  /** The referent's number above its mask. */
  tag(shape, referent) {
    if (!shape.box) return;
    const { context } = this;
    const side = this.pixels(TAG_PIXELS);
    const x = (shape.box[0] + shape.box[2]) / 2;
    const y = Math.max(side, shape.box[1] - side * 0.25);
    context.font = `600 ${side}px system-ui, sans-serif`;
    context.textAlign = "center";
    context.textBaseline = "alphabetic";
    context.lineWidth = this.pixels(3);
    context.strokeStyle = DARK;
    context.strokeText(String(referent + 1), x, y);
    context.fillStyle = referentColour(referent);
    context.fillText(String(referent + 1), x, y);
  }
}

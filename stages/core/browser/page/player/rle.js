// Masks as run lengths: the compressed COCO RLE, and set operations on runs.
//
// A decoded mask is a flat array [start, end, start, end, ...] of half-open runs of ones, in column-major
// order (pixel (x, y) is at x * height + y), sorted and not touching.

const FIRST_LETTER = 48;
const BITS = 5;
const MORE = 0x20;
const SIGN = 0x10;
const LARGEST_SHIFT = 30;

/** Decode the counts string of a compressed COCO RLE to lengths of runs of zeros, ones, zeros, ... */
export function decodeCounts(text) {
  const counts = [];
  for (let at = 0; at < text.length;) {
    let value = 0;
    let shift = 0;
    let letter;
    do {
      if (at >= text.length || shift > LARGEST_SHIFT) throw new RangeError("RLE: broken counts");
      letter = text.charCodeAt(at++) - FIRST_LETTER;
      if (letter < 0 || letter > 63) throw new RangeError("RLE: unexpected character in counts");
      value |= (letter & 0x1f) << shift;
      shift += BITS;
    } while (letter & MORE);
    if (letter & SIGN && shift < 32) value |= -1 << shift;
    if (counts.length > 2) value += counts[counts.length - 2];
    if (value < 0) throw new RangeError("RLE: negative run length");
    counts.push(value);
  }
  return counts;
}

/** Decode counts to runs of ones; a RangeError says if they do not cover `size` pixels. */
export function decodeRuns(text, size) {
  const counts = decodeCounts(text);
  const runs = [];
  let at = 0;
  for (let i = 0; i < counts.length; i++) {
    const end = at + counts[i];
    if (i % 2 === 1 && end > at) append(runs, at, end);
    at = end;
  }
  if (at !== size) throw new RangeError(`RLE: ${at} pixels, expected ${size}`);
  return Int32Array.from(runs);
}

/** Pixels of a and b. */
export function intersect(a, b) {
  const runs = [];
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    append(runs, Math.max(a[i], b[j]), Math.min(a[i + 1], b[j + 1]));
    if (a[i + 1] < b[j + 1]) i += 2;
    else j += 2;
  }
  return Int32Array.from(runs);
}

/** Pixels of a that are not in b. */
export function subtract(a, b) {
  const runs = [];
  let j = 0;
  for (let i = 0; i < a.length; i += 2) {
    let start = a[i];
    while (j < b.length && b[j + 1] <= start) j += 2;
    for (let k = j; k < b.length && b[k] < a[i + 1]; k += 2) {
      append(runs, start, b[k]);
      start = b[k + 1];
    }
    append(runs, start, a[i + 1]);
  }
  return Int32Array.from(runs);
}

/** Pixels of any of the masks. */
export function unite(masks) {
  if (masks.length === 1) return masks[0];
  const pairs = [];
  for (const mask of masks)
    for (let i = 0; i < mask.length; i += 2) pairs.push([mask[i], mask[i + 1]]);
  pairs.sort((a, b) => a[0] - b[0]);
  const runs = [];
  for (const [start, end] of pairs) append(runs, start, end);
  return Int32Array.from(runs);
}

/** Append a run that does not start before the last one; runs that touch become one. */
function append(runs, start, end) {
  if (end <= start) return;
  const last = runs.length - 1;
  if (last > 0 && start <= runs[last]) runs[last] = Math.max(runs[last], end);
  else runs.push(start, end);
}

// Colours on the frames: those of M. Okabe and K. Ito, the same as in `tgl render`.

export const AGREEMENT = "rgb(0, 114, 178)";
export const MISSED = "rgb(240, 228, 66)";
export const EXTRA = "rgb(213, 94, 0)";
export const PLAIN = "rgb(86, 180, 233)";
export const LIGHT = "#fff";
export const DARK = "rgba(0, 0, 0, 0.75)";

const REFERENTS = [
  ...["rgb(230, 159, 0)", "rgb(86, 180, 233)", "rgb(204, 121, 167)", "rgb(240, 228, 66)"],
  ...["rgb(0, 158, 115)", "rgb(213, 94, 0)", "rgb(0, 114, 178)"],
];

/** Colour of the n-th referent; they repeat after seven. */
export function referentColour(n) {
  return REFERENTS[n % REFERENTS.length];
}

"""Inner loops of scoring, which numba compiles; see :mod:`stages.score.masks.compiled`."""

"""Statistics of a data set's sentences and moments, and how well sets of moments agree."""

"""check: finding every fault of a data set or an artifact, without changing anything."""

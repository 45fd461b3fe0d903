"""check: every fault of a data set or an artifact, found without changing anything."""

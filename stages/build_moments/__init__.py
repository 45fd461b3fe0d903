"""build-moments: a data set and its moments become an index with random access."""

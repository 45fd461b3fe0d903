"""build-moments: a data set and its moments become an index that is read at random."""

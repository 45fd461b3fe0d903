"""Agreement of observers, matching of spans, intervals by resampling: numpy arrays in and out."""

"""ground: candidate boxes of each sentence on frames spread over its video."""

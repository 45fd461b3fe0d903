"""export-moments: the moments of an index in the format of another tool."""

"""The report of score: one HTML page that opens from disk and needs nothing else."""

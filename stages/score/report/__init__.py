"""The report of score: one HTML page that opens from disk, without any other file."""

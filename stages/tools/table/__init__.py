"""Scores of several runs, for `tgl table`."""

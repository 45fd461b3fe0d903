"""Commands that print figures: of data sets and of runs."""

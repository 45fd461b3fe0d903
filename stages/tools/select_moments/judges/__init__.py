"""Judges: which of the tracks that a sentence may mean it describes, and when."""

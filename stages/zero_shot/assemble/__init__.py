"""assemble: masks of sentences from the tracks that a judge accepted."""

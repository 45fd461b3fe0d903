"""Text encoders: from sentences to vectors, for the text artifact and for judges."""

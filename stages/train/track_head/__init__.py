"""Fitting the track head, when the rest of the model is trained."""

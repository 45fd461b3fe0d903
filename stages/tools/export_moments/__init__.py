"""Moments of an index in the JSON interchange form."""

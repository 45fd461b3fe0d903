"""Trivial predictions made of true masks, to stand beside a model's scores."""

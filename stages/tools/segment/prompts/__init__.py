"""Prompts by hand: boxes, points and masks of the user's own, and the objects that they track."""

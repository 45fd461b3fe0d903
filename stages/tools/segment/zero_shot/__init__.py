"""Masks of sentences without training: boxes, tracks, a judge, each a stage of its own."""

"""Reading an index at random: expressions, moments, masks, frames and texts.

Shared by train, propagate, score and the tools; written by build-moments and precompute-text.
"""

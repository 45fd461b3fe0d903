"""Reading an index at random: expressions, moments, masks, frames and texts.

What train, propagate, score and the helpers share; written by build-moments and precompute-text.
"""

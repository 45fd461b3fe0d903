"""Dual-path inference over whole videos, many sentences at once."""

"""Causal propagation over a stream: frames come once, masks leave after a bounded delay."""

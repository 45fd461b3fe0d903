"""Masks without training: ground sentences in frames, and track what they may mean."""

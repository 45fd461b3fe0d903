"""Validation of a model on a held-out index: masks, and the relevance of whole videos."""

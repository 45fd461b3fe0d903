"""Commands that make masks without training."""

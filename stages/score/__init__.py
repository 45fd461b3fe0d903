"""The stage score: predictions and ground truth in, exact J and F out."""

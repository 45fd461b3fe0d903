"""score: exact J and F of predictions against ground truth."""

"""references: trivial predictions made of true masks, for comparison with a model's scores."""

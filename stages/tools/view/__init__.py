"""Looking at predictions and ground truth in the browser."""

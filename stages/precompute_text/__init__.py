"""precompute-text: encoding every distinct sentence once."""

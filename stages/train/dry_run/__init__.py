"""What a training takes, counted before it starts."""

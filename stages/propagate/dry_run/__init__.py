"""What a run of propagate takes, counted before it starts."""

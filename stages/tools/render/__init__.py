"""render: predictions drawn over frames, against the truth where it is known."""

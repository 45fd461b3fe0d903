"""tgl segment: the command, and what may be typed after it."""

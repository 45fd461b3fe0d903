"""Frames, mask PNGs, run lengths and videos: reading, writing and checking single files."""

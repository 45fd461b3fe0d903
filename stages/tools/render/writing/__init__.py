"""Files that overlays are written to."""

"""Marking moments in the browser; see docs/annotate.md."""

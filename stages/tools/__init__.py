"""Helpers beside the six stages, one folder per command."""

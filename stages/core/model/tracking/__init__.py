"""Tracking many objects through one video, from prompts on some of its frames."""

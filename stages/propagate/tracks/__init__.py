"""Masks of sentences made of object tracks."""

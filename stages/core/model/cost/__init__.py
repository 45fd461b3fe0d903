"""Arithmetic and memory of a model, counted without weights and without computing anything."""

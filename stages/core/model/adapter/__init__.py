"""Moment-aware feature extraction: the adapter, its layers, and the language path it makes."""

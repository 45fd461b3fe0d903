"""Readers of the text files of data sets: CSV, JSON, meta_expressions.json, moments."""

"""Detectors of transformers behind one interface: frames and sentences in, boxes out."""

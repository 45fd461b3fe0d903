"""Frames painted with masks, labels and transparency."""

"""Training samples: clips, augmentation, targets, the loader and cached features."""

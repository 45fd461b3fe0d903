"""Ground truth from a split of MeViS, an index, or a folder of masks or label images."""

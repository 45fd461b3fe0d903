"""Ground truth from a MeViS split, an index or a folder of masks."""

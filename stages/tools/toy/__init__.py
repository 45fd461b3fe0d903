"""`tgl toy`: a synthetic data set in MeViS layout whose sentences need moments."""

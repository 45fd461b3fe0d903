"""`tgl toy`: a synthetic data set in MeViS layout whose sentences cannot be solved without
moments."""

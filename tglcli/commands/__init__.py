"""The commands of the six stages, one file each."""

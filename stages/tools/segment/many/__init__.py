"""`tgl segment` for several videos: the videos, their sentences, one run, an overlay of each."""

"""`tgl train`: the language side and SAM 2's memory, learnt from clips that know their moments."""

"""Language: the part-of-speech tagger that several stages use."""

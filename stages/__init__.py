"""The stages of tgl, one folder each, and what they share: engine, index and model.

A stage reads only its inputs and writes only its artifact; stages never import each other.
"""

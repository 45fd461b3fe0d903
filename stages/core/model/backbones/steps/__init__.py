"""The steps of a frame in eval mode: memory attention, mask decoder, memory encoder.

They use the layers of transformers' modules and give their numbers, with fewer copies, and with the
work that is equal for several items done once. Training runs the modules themselves.
"""

"""The way of a batch: from worker processes to the device of the network."""

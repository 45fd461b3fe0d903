"""Moving work off the device: masks and features to host memory and disk, smaller batches."""

"""Running the jobs of a stage in several processes, threads or machines."""

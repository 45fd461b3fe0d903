"""submit: the zip that a benchmark's server takes, and the check of one."""
